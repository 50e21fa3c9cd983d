/** The one-machine cluster as data: the addresses of nodes, pods and servers. */

/** Addresses of one IP family; prefixes are in `network`s only. */
export interface Addresses {
  /** What the agent binds. */
  readonly local: string;
  /** ClusterIP of kube-dns, and of the Service that the agent asks. */
  readonly vip: string;
  readonly upstreamVip: string;
  readonly podNetwork: string;
  readonly clusterNetwork: string;
  /** The node on its pods' bridge and on the network it shares with the backends. */
  readonly gateway: string;
  readonly node: string;
  readonly lanNetwork: string;
  readonly router: string;
  readonly pods: readonly [string, string];
  readonly backendNetwork: string;
  readonly backends: readonly [string, string];
  readonly resolver: string;
  /** Reachable through a link that has no address of its own. */
  readonly unnumbered: string;
  readonly hostPrefix: number;
  readonly netPrefix: number;
}

export const V4: Addresses = {
  local: '169.254.20.10',
  vip: '10.96.0.10',
  upstreamVip: '10.96.0.11',
  podNetwork: '10.244.0.0/24',
  clusterNetwork: '10.244.0.0/16',
  gateway: '10.244.0.1',
  node: '192.0.2.10',
  lanNetwork: '192.0.2.0/24',
  router: '192.0.2.1',
  pods: ['10.244.0.11', '10.244.0.12'],
  backendNetwork: '10.244.1.0/24',
  backends: ['10.244.1.21', '10.244.1.22'],
  resolver: '198.51.100.53',
  unnumbered: '203.0.113.7',
  hostPrefix: 32,
  netPrefix: 24,
};

export const V6: Addresses = {
  local: 'fd00::10',
  vip: 'fd00:96::10',
  upstreamVip: 'fd00:96::11',
  podNetwork: 'fd00:244::/64',
  clusterNetwork: 'fd00:244::/48',
  gateway: 'fd00:244::1',
  node: 'fd00:2::10',
  lanNetwork: 'fd00:2::/64',
  router: 'fd00:2::1',
  pods: ['fd00:244::11', 'fd00:244::12'],
  backendNetwork: 'fd00:244:0:1::/64',
  backends: ['fd00:244:0:1::21', 'fd00:244:0:1::22'],
  resolver: 'fd00:53::53',
  unnumbered: 'fd00:203::7',
  hostPrefix: 128,
  netPrefix: 64,
};

/** A Service with its endpoints, for both transports on port 53. */
export interface Service {
  readonly name: string;
  readonly clusterIp: string;
  readonly endpoints: readonly string[];
}

export function dnsServices(a: Addresses): Service[] {
  return [
    { name: 'kube-dns', clusterIp: a.vip, endpoints: a.backends },
    { name: 'kube-dns-upstream', clusterIp: a.upstreamVip, endpoints: a.backends },
  ];
}

/** The resolv.conf that a kubelet writes into a pod that asks `nameserver`. */
export function podResolvConf(nameserver: string): string {
  return [
    `nameserver ${nameserver}`,
    'search default.svc.cluster.local svc.cluster.local cluster.local',
    'options ndots:5 timeout:2 attempts:2',
    '',
  ].join('\n');
}
