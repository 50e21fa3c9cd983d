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
{{- default .own $values.corefile }}
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
{{- range concat (default list $pod.initContainers) $pod.containers -}}
{{- $_ := set . "image" $image -}}
{{- end -}}
{{- range $field := list "imagePullSecrets" "nodeSelector" "affinity" "tolerations" -}}
{{- with index $values $field -}}
{{- $_ := set $pod $field . -}}
{{- end -}}
{{- end -}}
{{- if and $values.podMonitor.enabled $template.metadata.annotations -}}
{{- $_ := unset $template.metadata "annotations" -}}
{{- end -}}
{{- range $name, $text := $values.podAnnotations -}}
{{- include "nodens.annotate" (dict "template" $template "name" $name "text" $text) -}}
{{- end -}}
{{- with $values.updateStrategy -}}
{{- $_ := set $.daemonSet.spec "updateStrategy" . -}}
{{- end -}}
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
