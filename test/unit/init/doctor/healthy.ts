/** What a healthy node looks like to the doctor, and small changes to it. */
import type { Facts, Reply } from '../../../../init/doctor/facts.ts';

export const LOCAL = '169.254.20.10';
export const VIP = '10.96.0.10';
const UPSTREAM = '10.96.0.11';
const RESOLVER = '192.0.2.53';

export const NFT = `table inet nodens_query_main {
\tchain prerouting {
\t\ttype filter hook prerouting priority raw; policy accept;
\t\tudp dport 53 ip daddr { ${VIP}, ${LOCAL} } socket wildcard 0 counter packets 1 bytes 2 notrack comment "nodens:query-pod-udp4:00000001"
\t}
\tchain output {
\t\ttype filter hook output priority raw; policy accept;
\t\tudp dport 53 ip daddr { ${VIP}, ${LOCAL} } counter packets 1 bytes 2 notrack comment "nodens:query-host-udp4:00000002"
\t}
}
table inet nodens_standing_main {
\tchain output {
\t\ttype filter hook output priority raw; policy accept;
\t\tudp sport 53 ip saddr { ${VIP}, ${LOCAL} } counter packets 1 bytes 2 notrack comment "nodens:reply-udp4:00000003"
\t}
}
table inet nodens_fallback_main {
\tchain prerouting {
\t\ttype filter hook prerouting priority -250; policy accept;
\t\tip daddr ${LOCAL} udp dport 53 counter packets 0 bytes 0 ip daddr set ${VIP} comment "nodens:fallback-query-udp4:00000004"
\t}
}
table ip nat {
\tchain KUBE-SERVICES {
\t\tip daddr ${VIP} udp dport 53 counter packets 0 bytes 0 jump KUBE-SVC-X
\t}
\tchain KUBE-SEP-X {
\t\tmeta l4proto udp udp dport 53 dnat to 10.244.1.21:53
\t}
}
`;

export const good: Reply = { rcode: 0, text: undefined, ms: 1 };
export const nonce: Reply = { rcode: 0, text: 'a1b2', ms: 0 };
export const refused: Reply = { error: 'ECONNREFUSED' };

export const local = (reply: Reply, ...addresses: string[]): Facts['local'] =>
  addresses.flatMap((address) =>
    (['udp', 'tcp'] as const).map((transport) => ({ address, transport, reply })),
  );
export const upstreams = (replies: Partial<Record<'ku' | 'kt' | 'ru' | 'rt', Reply>> = {}) =>
  (
    [
      ['ku', UPSTREAM, 'kube-dns', 'udp'],
      ['kt', UPSTREAM, 'kube-dns', 'tcp'],
      ['ru', RESOLVER, 'resolver', 'udp'],
      ['rt', RESOLVER, 'resolver', 'tcp'],
    ] as const
  ).map(([key, server, role, transport]) => ({
    server,
    role,
    transport,
    reply: replies[key] ?? good,
  }));
export const address = (ip: string, more = {}) => ({
  ...{ address: ip, link: 'lo', scope: 'host', deprecated: false, owner: 'nodens' as const },
  ...more,
});
export const socket = (ip: string, more = {}) => ({
  ...{ address: ip, port: 53, family: 4 as const, waitingBytes: 0, drops: 0 },
  ...more,
});

export const HEALTHY: Facts = {
  ...{ localIps: [LOCAL, VIP], leftIps: [], port: 53, kubeDns: [UPSTREAM] },
  cluster: {
    ...{ domain: 'k8s.test', isDomainTold: true, knowsKubernetes: true },
    ...{ clusterIps: [VIP], kubeDnsService: VIP },
  },
  addresses: { value: [address(LOCAL), address(VIP)] },
  links: { value: ['lo', 'eth0'] },
  rules: { value: { nft: NFT, iptables: '', legacy: '' } },
  isConfigValid: { value: true },
  local: local(nonce, LOCAL, VIP),
  upstreams: upstreams(),
  resolvConf: { value: `search example.com\nnameserver ${RESOLVER}\n` },
  conntrack: { value: { count: 100, max: 1_000, insertFailed: 0, drop: 0 } },
  sockets: { value: [socket(LOCAL), socket(VIP)] },
};

export const rules = (change: (nft: string) => string, legacy = ''): Pick<Facts, 'rules'> => ({
  rules: { value: { nft: change(NFT), iptables: '', legacy } },
});
export const without = (id: string) => (nft: string) =>
  nft
    .split('\n')
    .filter((line) => !line.includes(`nodens:${id}`))
    .join('\n');
export const beside = (table: string) => (nft: string) => nft + table;
/** Query rules as they are where the kernel knows of agents that are alive. */
export const waiting = (nft: string): string =>
  nft.replaceAll(/( counter .*nodens:query-)/g, ' meta mark & 0x00000040 == 0x00000040$1');
export const ALIVE = `table inet nodens_alive_0a1b2c3d {
\tchain output {
\t\ttype filter hook output priority -302; policy accept;
\t\tth dport 53 ip daddr ${LOCAL} meta mark set meta mark | 0x00000040 comment "nodens:mark-alive-output-0:00000005"
\t}
}
`;
export const same = (nft: string): string => nft;

export const NODE_LOCAL_DNS_RULES = `table ip raw {\n\tchain PREROUTING {\n\t\tip daddr ${VIP} udp dport 53 counter packets 0 bytes 0 notrack comment "NodeLocal DNS Cache: skip conntrack"\n\t}\n}\n`;
export const dropping = (rule: string): string =>
  `table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\t${rule}\n\t}\n}\n`;

/** As kube-proxy refuses for a Service without endpoints. */
export const UNSERVED_NFT =
  'table ip kube-proxy {\n\tmap no-endpoint-services {\n\t\ttype ipv4_addr . inet_proto . inet_service : verdict\n' +
  `\t\telements = { ${UPSTREAM} . tcp . 53 comment "kube-system/nodens-upstream:dns-tcp" : goto reject-chain,\n` +
  `\t\t\t     ${UPSTREAM} . udp . 53 comment "kube-system/nodens-upstream:dns" : goto reject-chain }\n\t}\n}\n`;
export const UNSERVED_IPTABLES =
  '# Generated by iptables-nft-save v1.8.9 (nf_tables)\n*filter\n:KUBE-SERVICES - [0:0]\n' +
  `-A KUBE-SERVICES -d ${UPSTREAM}/32 -p udp -m comment --comment "kube-system/nodens-upstream:dns has no endpoints" -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable\nCOMMIT\n`;

/** What is broken, and how the line `id` must read. */
