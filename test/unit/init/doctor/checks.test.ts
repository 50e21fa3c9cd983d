import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { examine } from '../../../../init/doctor/checks.ts';
import type { Facts, Finding, Reply, Rules, Verdict } from '../../../../init/doctor/facts.ts';
import { exitCodeOf, screen } from '../../../../init/doctor/report.ts';

const LOCAL = '169.254.20.10';
const VIP = '10.96.0.10';
const UPSTREAM = '10.96.0.11';
const RESOLVER = '192.0.2.53';

const NFT = `table inet nodens_query_main {
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

const good: Reply = { rcode: 0, text: undefined, ms: 1 };
const nonce: Reply = { rcode: 0, text: 'a1b2', ms: 0 };
const refused: Reply = { error: 'ECONNREFUSED' };

const local = (reply: Reply, ...addresses: string[]): Facts['local'] =>
  addresses.flatMap((address) =>
    (['udp', 'tcp'] as const).map((transport) => ({ address, transport, reply })),
  );
const upstreams = (replies: Partial<Record<'ku' | 'kt' | 'ru' | 'rt', Reply>> = {}) =>
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
const address = (ip: string, more = {}) => ({
  ...{ address: ip, link: 'lo', scope: 'host', deprecated: false, owner: 'nodens' as const },
  ...more,
});
const socket = (ip: string, more = {}) => ({
  ...{ address: ip, port: 53, family: 4 as const, waitingBytes: 0, drops: 0 },
  ...more,
});

const HEALTHY: Facts = {
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

const rules = (change: (nft: string) => string, legacy = ''): Pick<Facts, 'rules'> => ({
  rules: { value: { nft: change(NFT), iptables: '', legacy } },
});
const without = (id: string) => (nft: string) =>
  nft
    .split('\n')
    .filter((line) => !line.includes(`nodens:${id}`))
    .join('\n');
const beside = (table: string) => (nft: string) => nft + table;
/** Query rules as they are where the kernel knows of agents that are alive. */
const waiting = (nft: string): string =>
  nft.replaceAll(/( counter .*nodens:query-)/g, ' meta mark & 0x00000040 == 0x00000040$1');
const ALIVE = `table inet nodens_alive_0a1b2c3d {
\tchain output {
\t\ttype filter hook output priority -302; policy accept;
\t\tth dport 53 ip daddr ${LOCAL} meta mark set meta mark | 0x00000040 comment "nodens:mark-alive-output-0:00000005"
\t}
}
`;
const same = (nft: string): string => nft;

function finding(facts: Facts, id: string): Finding {
  const found = examine(facts).find((one) => one.id === id);
  assert.ok(found !== undefined, `no line ${id}`);
  return found;
}

const PEER = `table ip raw {\n\tchain PREROUTING {\n\t\tip daddr ${VIP} udp dport 53 counter packets 0 bytes 0 notrack comment "NodeLocal DNS Cache: skip conntrack"\n\t}\n}\n`;
const dropping = (rule: string): string =>
  `table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\t${rule}\n\t}\n}\n`;

/** As kube-proxy refuses for a Service without endpoints. */
const UNSERVED_NFT =
  'table ip kube-proxy {\n\tmap no-endpoint-services {\n\t\ttype ipv4_addr . inet_proto . inet_service : verdict\n' +
  `\t\telements = { ${UPSTREAM} . tcp . 53 comment "kube-system/nodens-upstream:dns-tcp" : goto reject-chain,\n` +
  `\t\t\t     ${UPSTREAM} . udp . 53 comment "kube-system/nodens-upstream:dns" : goto reject-chain }\n\t}\n}\n`;
const UNSERVED_IPTABLES =
  '# Generated by iptables-nft-save v1.8.9 (nf_tables)\n*filter\n:KUBE-SERVICES - [0:0]\n' +
  `-A KUBE-SERVICES -d ${UPSTREAM}/32 -p udp -m comment --comment "kube-system/nodens-upstream:dns has no endpoints" -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable\nCOMMIT\n`;

/** What is broken, and how the line `id` must read. */
const BROKEN: readonly [string, Partial<Facts>, string, Verdict, RegExp][] = [
  ['no address known', { localIps: [], local: [] }, 'answers', 'bad', /no address/],
  ['no address known', { localIps: [], local: [] }, 'addresses', 'bad', /no local IP/],
  [
    'address gone',
    { addresses: { value: [address(VIP)] } },
    'addresses',
    'bad',
    /^169.254.20.10 not/,
  ],
  [
    'address exposed',
    { addresses: { value: [address(LOCAL), address(VIP, { scope: 'global', link: 'eth0' })] } },
    ...(['addresses', 'warn', /10.96.0.10 on eth0 may become a source/] as const),
  ],
  [
    'agent gone',
    { local: local(refused, LOCAL, VIP) },
    'agent',
    'bad',
    /169.254.20.10\/udp \(ECONN/,
  ],
  ['agent gone', { local: local(refused, LOCAL, VIP) }, 'answers', 'bad', /169.254.20.10: nobody/],
  ['agent hangs', { local: local({ error: 'timeout' }, LOCAL) }, 'agent', 'bad', /timeout/],
  ['served by kube-dns', { local: local(good, LOCAL, VIP) }, 'agent', 'warn', /not by nodens/],
  ['served by kube-dns', { local: local(good, LOCAL, VIP) }, 'answers', 'warn', /another server/],
  [
    'withdrawn, and the agent answers on the node',
    rules((nft) => without('query-pod')(without('query-host')(nft))),
    ...(['answers', 'warn', /10.96.0.10: another server/] as const),
  ],
  [
    'withdrawn',
    rules((nft) => without('query-pod')(without('query-host')(nft))),
    ...(['interception', 'warn', /withdrawn \(2 standing rules by nft\)/] as const),
  ],
  [
    'query rules wait for an agent',
    rules(waiting),
    ...(['interception', 'warn', /wait for an agent that is alive: kube-dns serves/] as const),
  ],
  ['query rules wait', rules(waiting), 'answers', 'warn', /10.96.0.10: another server/],
  ['reply rules flushed', rules(without('reply')), 'interception', 'bad', /without reply rules/],
  ['all rules flushed', rules(() => ''), 'interception', 'warn', /no rules of nodens/],
  ['no fallback', rules(without('fallback')), 'fallback', 'warn', /none for 169.254.20.10/],
  ["peer's leftovers", rules(beside(PEER)), 'leftovers', 'warn', /1 rules, 0 addresses$/],
  [
    "peer's black hole",
    { ...rules(beside(PEER)), local: local({ error: 'timeout' }, VIP) },
    ...(['leftovers', 'bad', /a black hole/] as const),
  ],
  [
    "peer's link",
    { addresses: { value: [address(LOCAL, { owner: 'node-local-dns', link: 'nodelocaldns' })] } },
    ...(['leftovers', 'warn', /0 rules, 1 addresses/] as const),
  ],
  [
    'a rule that drops',
    rules(beside('table ip evil {\n\tchain c {\n\t\tudp dport 53 drop\n\t}\n}\n')),
    ...(['foreign-rules', 'warn', /^ip evil c: udp dport 53 drop$/] as const),
  ],
  [
    'a legacy rule that redirects',
    rules(
      same,
      '*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp --dport 53 -j REDIRECT\nCOMMIT\n',
    ),
    ...(['foreign-rules', 'warn', /^legacy nat PREROUTING: -A/] as const),
  ],
  [
    'a policy that drops',
    rules(beside(dropping('tcp dport 22 accept'))),
    'policies',
    'bad',
    /^inet filter input$/,
  ],
  [
    'a legacy policy that drops',
    rules(same, '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n'),
    ...(['policies', 'bad', /^legacy filter INPUT$/] as const),
  ],
  [
    'kube-dns without TCP',
    { upstreams: upstreams({ kt: refused }) },
    'kube-dns',
    'bad',
    /tcp ECONNREFUSED/,
  ],
  [
    'kube-dns without UDP',
    { upstreams: upstreams({ ku: refused }) },
    'kube-dns',
    'warn',
    /udp ECONNREFUSED/,
  ],
  [
    'kube-dns that fails',
    { upstreams: upstreams({ kt: { ...good, rcode: 2 }, ku: { ...good, rcode: 2 } }) },
    ...(['kube-dns', 'bad', /SERVFAIL/] as const),
  ],
  [
    'kube-dns without endpoints, kube-proxy by nft',
    {
      ...rules(beside(UNSERVED_NFT)),
      upstreams: upstreams({ ku: refused, kt: refused }),
    },
    ...(['kube-dns', 'bad', /no endpoints behind 10\.96\.0\.11$/] as const),
  ],
  [
    'kube-dns without endpoints, kube-proxy by iptables',
    {
      rules: { value: { nft: NFT, iptables: UNSERVED_IPTABLES, legacy: '' } },
      upstreams: upstreams({ ku: refused, kt: refused }),
    },
    ...(['kube-dns', 'bad', /no endpoints behind 10\.96\.0\.11$/] as const),
  ],
  [
    'kube-dns that refuses, and no rules that say why',
    { upstreams: upstreams({ ku: refused, kt: refused }) },
    ...(['kube-dns', 'bad', /udp ECONNREFUSED, 10\.96\.0\.11\/tcp ECONNREFUSED$/] as const),
  ],
  [
    'a Corefile that is refused',
    { isConfigValid: { value: false } },
    'corefile',
    'bad',
    /on disk is refused/,
  ],
  [
    'an agent that cannot be asked',
    { isConfigValid: { unseen: 'ECONNREFUSED' } },
    'corefile',
    'unseen',
    /ECONNREFUSED/,
  ],
  [
    'IPv6 without rules',
    { localIps: [LOCAL, VIP, 'fd00:53::10'] },
    ...(['interception', 'warn', /pods and the host, IPv4; not fd00:53::10$/] as const),
  ],
  [
    'IPv6 without rules',
    { localIps: [LOCAL, VIP, 'fd00:96::10'], local: local(nonce, LOCAL, VIP, 'fd00:96::10') },
    'fallback',
    'warn',
    /none for fd00:96::10/,
  ],
  [
    'an IPv6 VIP without rules',
    {
      localIps: [LOCAL, VIP, 'fd00:96::10'],
      local: local(nonce, LOCAL, VIP, 'fd00:96::10'),
      ...rules(
        beside(
          'table ip6 kube-proxy {\n\tmap service-ips {\n\t\telements = { fd00:96::10 . udp . 53 : goto service-ABCDEFGH-kube-system/kube-dns/udp/dns }\n\t}\n}\n',
        ),
      ),
    },
    ...(['answers', 'warn', /fd00:96::10: another server/] as const),
  ],
  ['kube-dns unknown', { kubeDns: [] }, 'kube-dns', 'unseen', /not known/],
  [
    'resolver without UDP',
    { upstreams: upstreams({ ru: refused }) },
    'resolvers',
    'bad',
    /udp ECONNREFUSED/,
  ],
  [
    'resolver without TCP',
    { upstreams: upstreams({ rt: refused }) },
    'resolvers',
    'warn',
    /tcp ECONNREFUSED/,
  ],
  ['no resolver', { upstreams: [] }, 'resolvers', 'warn', /none to ask/],
  [
    'empty resolv.conf',
    { resolvConf: { value: 'search x\n' } },
    'resolv.conf',
    'bad',
    /no nameserver/,
  ],
  ['a loop', { resolvConf: { value: `nameserver ${LOCAL}\n` } }, 'loops', 'bad', /nodens itself/],
  [
    'a stub',
    { resolvConf: { value: 'nameserver 127.0.0.53\n' } },
    'loops',
    'warn',
    /127.0.0.53, a stub/,
  ],
  [
    'conntrack full',
    { conntrack: { value: { count: 990, max: 1_000, insertFailed: 0, drop: 0 } } },
    ...(['conntrack', 'bad', /990 of 1000/] as const),
  ],
  [
    'conntrack fills',
    { conntrack: { value: { count: 850, max: 1_000, insertFailed: 0, drop: 0 } } },
    ...(['conntrack', 'warn', /850 of 1000/] as const),
  ],
  [
    'conntrack races',
    { conntrack: { value: { count: 1, max: 1_000, insertFailed: 7, drop: 0 } } },
    ...(['conntrack', 'warn', /7 insert_failed/] as const),
  ],
  [
    'receive drops',
    { sockets: { value: [socket(LOCAL, { drops: 9 })] } },
    'queues',
    'warn',
    /9 datagrams/,
  ],
  ['nobody bound', { sockets: { value: [socket('0.0.0.0')] } }, 'queues', 'warn', /0 UDP sockets/],
  ['IPVS and a VIP', { links: { value: ['kube-ipvs0'] } }, 'kube-proxy', 'bad', /10.96.0.10/],
  [
    'eBPF',
    { ...rules(() => ''), links: { value: ['cilium_host'] } },
    ...(['kube-proxy', 'warn', /cilium_host: an eBPF/] as const),
  ],
];

describe('the doctor', () => {
  it('finds nothing at a healthy node', () => {
    const findings = examine(HEALTHY);
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict !== 'ok'),
      [],
    );
    assert.equal(exitCodeOf(findings), 0);
    assert.equal(new Set(findings.map(({ id }) => id)).size, findings.length);
    assert.ok(screen(findings).split('\n').length <= 24, 'one screen');
  });

  it('does not call a local IP of earlier settings broken', () => {
    const facts = { ...HEALTHY, leftIps: ['10.96.0.99'] };
    for (const { id, verdict } of examine(facts)) assert.equal(verdict, 'ok', id);
    assert.match(finding(facts, 'leftovers').says, /10\.96\.0\.99 of earlier settings goes when/);
  });

  it('finds nothing where the kernel knows that an agent is alive', () => {
    const alive = { ...HEALTHY, ...rules((nft) => waiting(nft) + ALIVE) };
    for (const { id, verdict } of examine(alive)) assert.equal(verdict, 'ok', id);
  });

  for (const [what, change, id, verdict, says] of BROKEN)
    it(`${what}: ${id} is ${verdict}, with a remedy`, () => {
      const facts = { ...HEALTHY, ...change };
      const found = finding(facts, id);
      assert.equal(found.verdict, verdict, found.says);
      assert.match(found.says, says);
      assert.ok(found.remedy !== undefined && found.remedy.length > 10);
      assert.equal(exitCodeOf([found]), verdict === 'bad' ? 2 : 1);
      assert.ok(screen([found]).includes(`→ ${found.remedy}`));
    });

  it('lets an accept for port 53, ours or anybody’s, stand for a policy that drops', () => {
    for (const rule of [
      'udp dport { 53, 443 } accept',
      'tcp dport 53 ip daddr { 10.96.0.10 } counter packets 0 bytes 0 accept comment "nodens:accept-dns-in-query-tcp4:00000009"',
    ])
      assert.equal(
        finding({ ...HEALTHY, ...rules(beside(dropping(rule))) }, 'policies').verdict,
        'ok',
      );
  });

  it('tells nft, iptables-nft and legacy rules of ours apart, and the modes of kube-proxy', () => {
    const tag = 'comment "nodens:query-pod-udp4:00000001"';
    const nft = `table ip raw {\n\tchain NODENS-QUERY {\n\t\tnotrack ${tag}\n\t\tnotrack comment "nodens:reply-udp4:00000001"\n\t}\n}\ntable ip6 kube-proxy {\n\tchain services {\n\t}\n}\n`;
    const iptables = `# Generated by ip6tables-nft-save v1\n*raw\n:N - [0:0]\n-A N -m ${tag} -j NOTRACK\nCOMMIT\n`;
    const legacy = `*raw\n:N - [0:0]\n-A N -m ${tag} -j NOTRACK\n-A N --dport 53 -j DROP -m ${tag}\nCOMMIT\n`;
    const facts = { ...HEALTHY, rules: { value: { nft, iptables: '', legacy } satisfies Rules } };
    assert.match(
      finding(facts, 'interception').says,
      /by iptables-nft and iptables-legacy: pods only/,
    );
    const saved = { nft: NFT, iptables, legacy: '' };
    const both = { ...HEALTHY, rules: { value: saved satisfies Rules } };
    assert.match(finding(both, 'interception').says, /by nft and iptables-nft: /);
    assert.equal(finding(facts, 'kube-proxy').says, 'nftables');
    assert.equal(finding(facts, 'foreign-rules').verdict, 'ok');
  });

  it('says what it could not see, and does not call it well', () => {
    const reason = { unseen: 'nft list ruleset: exit code 1: Operation not permitted' };
    const blind: Facts = {
      ...HEALTHY,
      ...{ addresses: reason, links: reason, rules: reason, resolvConf: reason },
      ...{ conntrack: reason, sockets: reason },
    };
    const findings = examine(blind);
    const lines = findings.filter(({ verdict }) => verdict === 'unseen').map(({ id }) => id);
    assert.deepEqual(lines, [
      ...['addresses', 'interception', 'fallback', 'leftovers', 'foreign-rules', 'policies'],
      ...['resolv.conf', 'loops', 'conntrack', 'queues', 'kube-proxy'],
    ]);
    assert.match(finding(blind, 'policies').says, /Operation not permitted/);
    assert.equal(exitCodeOf(findings), 1);
  });
});
