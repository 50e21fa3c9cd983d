/** Who looks names up in the lab's part about search lists, and which names. */
import { V4 } from '../../support/cluster/plan.ts';
import { type PodFields, pod } from '../../support/kubernetes/pods.ts';
import type { ScriptedObject } from '../../support/kubernetes/scripted-objects.ts';

const DOMAIN = 'cluster.local';

/** A pod as the API server has it, and its resolv.conf as the kubelet writes it, put down here by hand. */
export interface LabPod {
  readonly object: ScriptedObject;
  readonly address: string;
  readonly search: readonly string[];
  readonly ndots: number;
}

/** How a pod's search list comes about. */
export interface Kind {
  readonly fields: PodFields;
  readonly search: readonly string[];
  readonly ndots: number;
}

function clusterFirst(namespace: string): string[] {
  return [`${namespace}.svc.${DOMAIN}`, `svc.${DOMAIN}`, DOMAIN];
}

export const DEFAULT_POD: Kind = {
  fields: { namespace: 'default' },
  search: clusterFirst('default'),
  ndots: 5,
};
export const BANK_POD: Kind = {
  fields: { namespace: 'bank' },
  search: clusterFirst('bank'),
  ndots: 5,
};
export const TUNED_POD: Kind = {
  fields: {
    namespace: 'bank',
    dnsConfig: { searches: ['example.org'], options: [{ name: 'ndots', value: '2' }] },
  },
  search: [...clusterFirst('bank'), 'example.org'],
  ndots: 2,
};
export const OWN_LIST_POD: Kind = {
  fields: {
    ...{ namespace: 'default', dnsPolicy: 'None' },
    dnsConfig: {
      searches: [`svc.${DOMAIN}`, 'example.org'],
      options: [{ name: 'ndots', value: '3' }],
    },
  },
  search: [`svc.${DOMAIN}`, 'example.org'],
  ndots: 3,
};
export const KINDS: readonly Kind[] = [DEFAULT_POD, BANK_POD, TUNED_POD, OWN_LIST_POD];

let made = 0;

/** A new pod at `address`. */
export function podAt(address: string, { fields, search, ndots }: Kind): LabPod {
  const name = `pod-${++made}`;
  return { object: pod({ ...fields, name, ips: [address] }), address, search, ndots };
}

/** The same pod when its deletion has begun. */
export function leaving({ object }: LabPod): ScriptedObject {
  const deletionTimestamp = '2026-01-01T00:00:00Z';
  return { ...object, metadata: { ...object.metadata, deletionTimestamp } as never };
}

/** A resolv.conf of `pod` that asks `server`. */
export function resolvConf({ search, ndots }: LabPod, server: string): string {
  return `nameserver ${server}\nsearch ${search.join(' ')}\noptions ndots:${ndots} timeout:4 attempts:3\n`;
}

/** Addresses of the many pods, in pod1's network. */
export const GANG_ADDRESSES = Array.from(
  { length: 100 },
  (_, i) => `${V4.gateway.replace(/\d+$/, '')}${100 + i}`,
);

export const GANG_NAMES = ['www.example.com', 'host.example.org', 'any.any.example.com'];

const HAND_PICKED = [
  ...['web', 'api', 'db', 'db-0.db', 'shop', 'kubernetes', 'ledger', 'host', 'localdomain'],
  ...[
    'web.default',
    'api.default',
    'shop.default',
    'ledger.bank',
    'web.bank',
    'kubernetes.default',
  ],
  ...['web.default.svc', 'ledger.bank.svc', 'db-1.db.default.svc', `web.default.svc.${DOMAIN}`],
  ...[`missing.default.svc.${DOMAIN}`, `ledger.bank.svc.${DOMAIN}`, 'any.default', 'default.svc'],
  ...['example.com', 'example.org', 'www.example.com', 'edge.example.com', 'host.example.org'],
  ...['nowhere.example.org', 'nowhere.example', 'nowhere', 'a.b.c.d.e.f.example.org'],
  ...['web.default.svc.cluster.local.', 'host.example.org.', 'big.example.com'],
];

/** Services and outside names, existing and missing ones, with few dots and with many. */
export const NAMES: readonly string[] = [
  ...HAND_PICKED,
  ...Array.from({ length: 500 - HAND_PICKED.length }, (_, i) => {
    const forms = [
      `n${i}.any.example.com`,
      `n${i}.any`,
      `n${i}.any.default`,
      `missing${i}`,
      `missing${i}.example.org`,
      `n${i}.deep.er.any.example.com`,
      `n${i}.any.default.svc.${DOMAIN}`,
      `missing${i}.default`,
    ];
    return forms[i % forms.length] as string;
  }),
];
