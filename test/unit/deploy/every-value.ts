/** Values that change each part of the chart that has no other test. */
import type { Values } from './charts.ts';

const monitor = {
  ...{ enabled: true, labels: { release: 'prometheus' }, namespace: 'monitoring' },
  ...{ interval: '15s', scrapeTimeout: '10s' },
  relabelings: [{ action: 'replace', targetLabel: 'cluster', replacement: 'a' }],
  metricRelabelings: [{ action: 'drop', sourceLabels: ['__name__'], regex: 'process_.*' }],
};

const container = {
  extraEnv: [{ name: 'TZ', value: 'UTC' }],
  extraVolumeMounts: [{ name: 'ca', mountPath: '/etc/ca', readOnly: true }],
  fields: { resizePolicy: [{ resourceName: 'memory', restartPolicy: 'NotRequired' }] },
};

export const EVERY_VALUE: Values = {
  image: { repository: 'registry.test/nodens', tag: 'x', pullPolicy: 'Always' },
  upstreamServers: 'tls://192.0.2.9%dns.test 192.0.2.53',
  agent: container,
  init: container,
  commonLabels: { team: 'dns' },
  commonAnnotations: { 'example.test/owner': 'dns' },
  labelsByKind: { ConfigMap: { watched: 'yes' } },
  annotationsByKind: {
    DaemonSet: { 'example.test/reload': 'true' },
    ServiceAccount: { role: 'r' },
  },
  podLabels: { mesh: 'off' },
  podFields: {
    priorityClassName: 'dns-critical',
    terminationGracePeriodSeconds: 45,
    hostAliases: [{ ip: '192.0.2.8', hostnames: ['proxy.test'] }],
  },
  extraVolumes: [{ name: 'ca', secret: { secretName: 'ca' } }],
  extraContainers: [{ name: 'exporter', image: 'exporter:1' }],
  extraInitContainers: [{ name: 'wait', image: 'wait:1' }],
  podMonitor: monitor,
  prometheusRule: { enabled: true, namespace: 'monitoring', labels: { release: 'prometheus' } },
  dashboard: { enabled: true, namespace: 'monitoring', annotations: { grafana_folder: 'DNS' } },
};
