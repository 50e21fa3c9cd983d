/** Pods as the API server sends them, as far as autopath looks. */
import type { ScriptedObject } from './scripted-objects.ts';

export interface PodFields {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly ips?: readonly string[];
  readonly phase?: string;
  readonly hostNetwork?: boolean;
  readonly dnsPolicy?: string;
  readonly dnsConfig?: object;
  readonly isLeaving?: boolean;
  readonly nodeName?: string;
}

export function pod(fields: PodFields = {}): ScriptedObject {
  const { name = 'web-1', namespace = 'shop', ips = ['10.244.0.7'], phase = 'Running' } = fields;
  const { uid = `uid-of-${namespace}/${name}`, dnsPolicy = 'ClusterFirst', isLeaving } = fields;
  const { hostNetwork, dnsConfig, nodeName = 'worker-1' } = fields;
  return {
    metadata: {
      ...{ name, namespace, uid },
      ...(isLeaving === true && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    spec: { nodeName, dnsPolicy, hostNetwork, dnsConfig, containers: [{ name: 'c', image: 'i' }] },
    status: { phase, podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  };
}
