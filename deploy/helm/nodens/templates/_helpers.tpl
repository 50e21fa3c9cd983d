{{/* The image, by digest where there is one. */}}
{{- define "nodens.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* Name of the DaemonSet and of its label k8s-app. */}}
{{- define "nodens.name" -}}
{{- if eq .Values.mode "drop-in" -}}node-local-dns{{- else -}}nodens{{- end -}}
{{- end -}}

{{/* The values that the containers get as environment. */}}
{{- define "nodens.settings" -}}
LINK_LOCAL_IPS: {{ quote .Values.linkLocalIPs }}
KUBE_DNS_IPS: {{ quote .Values.kubeDnsIPs }}
CLUSTER_DOMAIN: {{ quote .Values.clusterDomain }}
{{- if .Values.upstreamServiceHost }}
NODENS_UPSTREAM_SERVICE_HOST: {{ quote .Values.upstreamServiceHost }}
{{- end }}
{{- end -}}

{{- define "nodens.settingsMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: nodens-settings
  namespace: {{ .Release.Namespace }}
data:
  {{- include "nodens.settings" . | nindent 2 }}
{{- end -}}

{{/* The Corefile: `own` of the manifests or that of the values, then the extra blocks. */}}
{{- define "nodens.corefile" -}}
{{- $values := .root.Values -}}
{{- $text := default .own $values.corefile -}}
{{- with $values.upstreamServers -}}
{{- $text = replace "__PILLAR__UPSTREAM__SERVERS__" . $text -}}
{{- end -}}
{{- $text }}
{{- if $values.extraBlocks }}
{{ $values.extraBlocks }}
{{- end }}
{{- end -}}

{{/* Changes `daemonSet` to what the values say about its pods. It prints nothing. */}}
{{- define "nodens.pods" -}}
{{- $values := .root.Values -}}
{{- $image := include "nodens.image" .root -}}
{{- $template := .daemonSet.spec.template -}}
{{- $pod := $template.spec -}}
{{- range $container := concat (default list $pod.initContainers) $pod.containers -}}
{{- $_ := set $container "image" $image -}}
{{- with $values.image.pullPolicy -}}
{{- $_ := set $container "imagePullPolicy" . -}}
{{- end -}}
{{- end -}}
{{- range $field := list "imagePullSecrets" "nodeSelector" "affinity" "tolerations" -}}
{{- with index $values $field -}}
{{- $_ := set $pod $field . -}}
{{- end -}}
{{- end -}}
{{- if and (or $values.podMonitor.enabled $values.serviceMonitor.enabled) $template.metadata.annotations -}}
{{- $_ := unset $template.metadata "annotations" -}}
{{- end -}}
{{- range $name, $text := $values.podLabels -}}
{{- $_ := set $template.metadata.labels $name $text -}}
{{- end -}}
{{- range $name, $field := $values.podFields -}}
{{- $_ := set $pod $name $field -}}
{{- end -}}
{{- range $name, $text := $values.podAnnotations -}}
{{- include "nodens.annotate" (dict "template" $template "name" $name "text" $text) -}}
{{- end -}}
{{- with $values.updateStrategy -}}
{{- $_ := set $.daemonSet.spec "updateStrategy" . -}}
{{- end -}}
{{- end -}}

{{/* Changes `pod` to what the values add to it. */}}
{{- define "nodens.extras" -}}
{{- $values := .root.Values -}}
{{- $pod := .pod -}}
{{- with $values.extraVolumes -}}
{{- include "nodens.mergeList" (dict "target" $pod "field" "volumes" "key" "name" "change" .) -}}
{{- end -}}
{{- with $values.extraContainers -}}
{{- $_ := set $pod "containers" (concat $pod.containers .) -}}
{{- end -}}
{{- with $values.extraInitContainers -}}
{{- $_ := set $pod "initContainers" (concat (default list $pod.initContainers) .) -}}
{{- end -}}
{{- end -}}

{{/* One object as a document, with the labels and annotations of the values. */}}
{{- define "nodens.object" -}}
{{- $values := .root.Values -}}
{{- $object := .object -}}
{{- $labels := list $values.commonLabels (default dict (index $values.labelsByKind $object.kind)) -}}
{{- $annotations := list $values.commonAnnotations (default dict (index $values.annotationsByKind $object.kind)) -}}
{{- range $field, $maps := dict "labels" $labels "annotations" $annotations -}}
{{- range $maps -}}
{{- range $name, $text := . -}}
{{- if not (index $object.metadata $field) -}}
{{- $_ := set $object.metadata $field dict -}}
{{- end -}}
{{- $_ := set (index $object.metadata $field) $name $text -}}
{{- end -}}
{{- end -}}
{{- end -}}
---
{{ toYaml $object }}
{{ end -}}

{{/* Changes `object`, which is made from `values`: its namespace and labels. */}}
{{- define "nodens.place" -}}
{{- $object := .object -}}
{{- $_ := set $object.metadata "namespace" (default .root.Release.Namespace .values.namespace) -}}
{{- range $label, $value := .values.labels -}}
{{- $_ := set $object.metadata.labels $label $value -}}
{{- end -}}
{{- end -}}

{{/* Changes a monitor and its `endpoint` to what `values` say. */}}
{{- define "nodens.monitor" -}}
{{- $endpoint := .endpoint -}}
{{- $values := .values -}}
{{- include "nodens.place" . -}}
{{- if not (eq .object.metadata.namespace .root.Release.Namespace) -}}
{{- $_ := set .object.spec "namespaceSelector" (dict "matchNames" (list .root.Release.Namespace)) -}}
{{- end -}}
{{- range $field := list "interval" "scrapeTimeout" "metricRelabelings" -}}
{{- with index $values $field -}}
{{- $_ := set $endpoint $field . -}}
{{- end -}}
{{- end -}}
{{- $_ := set $endpoint "relabelings" (concat $endpoint.relabelings $values.relabelings) -}}
{{- end -}}

{{- define "nodens.annotate" -}}
{{- $metadata := .template.metadata -}}
{{- if not $metadata.annotations -}}
{{- $_ := set $metadata "annotations" dict -}}
{{- end -}}
{{- $_ := set $metadata.annotations .name .text -}}
{{- end -}}

{{/* Changes `container` to what `values` say. */}}
{{- define "nodens.container" -}}
{{- $container := .container -}}
{{- with .values.resources -}}
{{- $_ := set $container "resources" . -}}
{{- end -}}
{{- $_ := set $container "args" (concat $container.args .values.extraArgs) -}}
{{- with .values.extraEnv -}}
{{- include "nodens.mergeList" (dict "target" $container "field" "env" "key" "name" "change" .) -}}
{{- end -}}
{{- with .values.extraVolumeMounts -}}
{{- include "nodens.mergeList" (dict "target" $container "field" "volumeMounts" "key" "mountPath" "change" .) -}}
{{- end -}}
{{- range $name, $field := .values.fields -}}
{{- $_ := set $container $name $field -}}
{{- end -}}
{{- end -}}

{{/* Changes `target`: the list `field` gets the elements of `change`, told apart by `key`, as kustomize merges them. */}}
{{- define "nodens.mergeList" -}}
{{- $key := .key -}}
{{- $names := list -}}
{{- range .change -}}
{{- $names = append $names (index . $key) -}}
{{- end -}}
{{- $rest := list -}}
{{- range default list (index .target .field) -}}
{{- if not (has (index . $key) $names) -}}
{{- $rest = append $rest . -}}
{{- end -}}
{{- end -}}
{{- $_ := set .target .field (concat .change $rest) -}}
{{- end -}}

{{/* Changes `daemonSet` by the patch of a component. */}}
{{- define "nodens.component" -}}
{{- $pod := .daemonSet.spec.template.spec -}}
{{- $change := .change.spec.template.spec -}}
{{- $agent := index $pod.containers 0 -}}
{{- $more := index $change.containers 0 -}}
{{- include "nodens.mergeList" (dict "target" $pod "field" "volumes" "key" "name" "change" $change.volumes) -}}
{{- include "nodens.mergeList" (dict "target" $agent "field" "env" "key" "name" "change" $more.env) -}}
{{- include "nodens.mergeList" (dict "target" $agent "field" "volumeMounts" "key" "mountPath" "change" $more.volumeMounts) -}}
{{- with $more.resources -}}
{{- range $name, $limit := .limits -}}
{{- $_ := set $agent.resources.limits $name $limit -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Changes `pod` as the overlay cilium does: no init, no host network, nothing of the node. */}}
{{- define "nodens.ordinaryPod" -}}
{{- $_ := unset .pod "hostNetwork" -}}
{{- $_ := unset .pod "initContainers" -}}
{{- $agent := index .pod.containers 0 -}}
{{- $localIP := printf "--localip=%s" .root.Values.listenIPs -}}
{{- $files := list "--basecorefile=/etc/coredns/Corefile.base" "--conf=/run/nodens/Corefile" -}}
{{- $args := concat (list "agent" $localIP) $files (list "--upstreamsvc=nodens-upstream" "--without-init") -}}
{{- $_ := set $agent "args" $args -}}
{{- $udp := dict "name" "dns" "containerPort" 53 "protocol" "UDP" -}}
{{- $tcp := dict "name" "dns-tcp" "containerPort" 53 "protocol" "TCP" -}}
{{- $_ := set $agent "ports" (list $udp $tcp) -}}
{{- $volumes := list -}}
{{- range .pod.volumes -}}
{{- if not (has .name (list "state" "xtables-lock")) -}}
{{- $volumes = append $volumes . -}}
{{- end -}}
{{- end -}}
{{- $_ := set .pod "volumes" $volumes -}}
{{- $mounts := list -}}
{{- range $agent.volumeMounts -}}
{{- if not (eq .name "state") -}}
{{- $mounts = append $mounts . -}}
{{- end -}}
{{- end -}}
{{- $_ := set $agent "volumeMounts" $mounts -}}
{{- end -}}
