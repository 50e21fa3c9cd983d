import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameToText } from '../../../../agent/dns/name.ts';
import { ownListeners } from '../../../../agent/plugins/forward/upstreams.ts';
import type { UpstreamGroupOptions } from '../../../../agent/query/services/upstreams.ts';
import { fakeServices, TEST_BLOCK } from '../../../support/services.ts';
import { forward, PEMS, targetsOf } from './forwarding.ts';

test('defaults are CoreDNS’s', () => {
  const { groups } = forward('forward . 192.0.2.1');
  const [{ healthCheck, upstreams, ...rest }] = groups as [UpstreamGroupOptions];
  assert.deepEqual(rest, {
    name: 'forward',
    policy: 'random',
    forceTcp: false,
    preferUdp: false,
    maxFails: 2,
    expireMs: 10_000,
    maxConcurrent: 0,
    maxConnectAttempts: 0,
    failFastAllUnhealthy: false,
    failoverRcodes: [],
  });
  assert.deepEqual(upstreams, [{ address: '192.0.2.1', port: 53 }]);
  const { domain, intervalMs, recursionDesired } = healthCheck;
  assert.deepEqual([nameToText(domain), intervalMs, recursionDesired], ['.', 500, true]);
});

test('every option reaches the group', () => {
  const { groups } = forward(`forward . 192.0.2.1 {
    force_tcp
    prefer_udp
    expire 20s
    max_fails 5
    max_connect_attempts 4
    health_check 2s no_rec domain Up.Example.
    policy round_robin
    max_concurrent 1000
    failfast_all_unhealthy_upstreams
    failover SERVFAIL refused
  }`);
  const [{ healthCheck, upstreams: _, ...rest }] = groups as [UpstreamGroupOptions];
  assert.deepEqual(rest, {
    name: 'forward',
    policy: 'round_robin',
    forceTcp: true,
    preferUdp: true,
    maxFails: 5,
    expireMs: 20_000,
    maxConcurrent: 1_000,
    maxConnectAttempts: 4,
    failFastAllUnhealthy: true,
    failoverRcodes: [2, 5],
  });
  const { domain, intervalMs, recursionDesired } = healthCheck;
  assert.deepEqual(
    [nameToText(domain), intervalMs, recursionDesired],
    ['up.example.', 2_000, false],
  );
});

test('upstreams in every spelling', () => {
  const seen = forward(
    'forward . 192.0.2.1 192.0.2.2:5353 [2001:db8::1]:54 2001:db8::2 dns://192.0.2.3 192.0.2.1:53',
  );
  assert.deepEqual(targetsOf(seen), [
    '192.0.2.1 53',
    '192.0.2.2 5353',
    '2001:db8::1 54',
    '2001:db8::2 53',
    '192.0.2.3 53',
  ]);
});

test('a resolv.conf gives its nameservers', () => {
  const text =
    '# nameserver 192.0.2.9, \ufffd\nsearch x\n nameserver 192.0.2.1 # first\nnameserver fe80::1%eth0\nnameserver bogus\noptions ndots:5\r\nnameserver 192.0.2.2\r\n';
  const seen = forward('forward . /etc/resolv.conf', { '/etc/resolv.conf': text });
  assert.deepEqual(targetsOf(seen), ['192.0.2.1 53', 'fe80::1%eth0 53', '192.0.2.2 53']);
  const warnings = seen.services.log.records.map(({ message }) => message);
  assert.deepEqual(warnings, [
    '/etc/resolv.conf: ignored 1 nameservers that are no address (the first: /etc/resolv.conf:5)',
  ]);
});

test('a listener on every address covers the node’s addresses at the time of the query, on its own port', () => {
  const addresses = ['127.0.0.1', 'FD00::0:10'];
  for (const [label, listening] of [
    ['dns://:53', []],
    ['dns://0.0.0.0:53', []],
    ['dns://10.0.0.1:53', ['[::]:53']],
  ] as const) {
    const block = { ...TEST_BLOCK, listening, servers: [{ index: 0, label }] };
    const services = fakeServices({ block: { ...block, nodeAddresses: () => addresses } });
    const isOwn = ownListeners(services);
    const own = (address: string, port = 53) => isOwn({ address, port });
    for (const address of ['127.0.0.1', 'fd00::10', '0.0.0.0', '::']) assert.ok(own(address));
    assert.ok(!own('127.0.0.1', 5_353));
    // On many nodes another server has this address: an address that is local by route only may be an upstream.
    assert.ok(!own('127.0.0.53'));
    assert.ok(!own('192.0.2.1'));
    addresses.push('192.0.2.1');
    assert.ok(own('192.0.2.1'));
    addresses.pop();
  }
});

test('own addresses and files without nameservers are omitted with a warning', () => {
  const seen = forward('forward . 169.254.20.10 [fd00::10]:53 /empty 192.0.2.1', { '/empty': '' });
  assert.deepEqual(targetsOf(seen), ['192.0.2.1 53']);
  const warnings = seen.services.log.records.map(({ level, message }) => `${level} ${message}`);
  assert.deepEqual(warnings, [
    'warn no nameserver in /empty: continuing without it',
    'warn not forwarding to 169.254.20.10:53: nodens itself listens there',
    'warn not forwarding to [fd00::10]:53: nodens itself listens there',
  ]);
});

test('a file that names only our own addresses leaves no upstream, and the agent starts all the same', () => {
  const text = 'nameserver 169.254.20.10\nnameserver FD00:0::10\n';
  const seen = forward('forward . /etc/resolv.conf', { '/etc/resolv.conf': text });
  assert.deepEqual(targetsOf(seen), []);
  const warnings = seen.services.log.records.map(({ message }) => message);
  assert.match(warnings.at(-1) ?? '', /forward has no upstream left: .* get SERVFAIL/);
});

test('an address of another block is our own, too', () => {
  const listening = ['169.254.20.10:53', '10.96.0.10:53', '127.0.0.1:5353'];
  const seen = forward('forward . 10.96.0.10 127.0.0.1 127.0.0.1:5353', {}, listening);
  assert.deepEqual(targetsOf(seen), ['127.0.0.1 53']);
});

test('TLS upstreams in every spelling', () => {
  const seen = forward(
    `forward . tls://192.0.2.1 tls://192.0.2.2%dns.example:8853 tls://[2001:db8::1]%Dns.Example. tls://[2001:db8::2%a.example]:853 192.0.2.3`,
  );
  assert.deepEqual(
    seen.groups[0]?.upstreams.map(({ address, port, tls }) => [address, port, tls]),
    [
      ['192.0.2.1', 853, {}],
      ['192.0.2.2', 8853, { serverName: 'dns.example' }],
      ['2001:db8::1', 853, { serverName: 'Dns.Example' }],
      ['2001:db8::2', 853, { serverName: 'a.example' }],
      ['192.0.2.3', 53, undefined],
    ],
  );
});

test('HTTPS upstreams in every spelling, with their path and method', () => {
  const targets = [
    ...['192.0.2.1', '192.0.2.2%dns.example:8443/q?a=b', '[2001:db8::1]', 'dns.example/dns-query'],
  ].map((target) => `https://${target}`);
  const options = 'doh_method GET\nresolver 192.0.2.9';
  const [group] = forward(`forward . ${targets.join(' ')} tls://192.0.2.1 {\n${options}\n}`).groups;
  const https = { path: '/dns-query', method: 'GET' };
  assert.deepEqual(
    group?.upstreams.map(({ address, port, tls }) => [address, port, tls]),
    [
      ['192.0.2.1', 443, { https }],
      ['192.0.2.2', 8443, { serverName: 'dns.example', https: { ...https, path: '/q?a=b' } }],
      ['2001:db8::1', 443, { https }],
      ['192.0.2.1', 853, {}],
    ],
  );
  assert.deepEqual(
    group?.names?.map(({ port, tls }) => [port, tls]),
    [[443, { serverName: 'dns.example', https }]],
  );
  const paths = forward('forward . https://192.0.2.1/a https://192.0.2.1/b https://192.0.2.1/a');
  assert.deepEqual(
    paths.groups[0]?.upstreams.map(({ tls }) => tls?.https),
    [
      { path: '/a', method: 'POST' },
      { path: '/b', method: 'POST' },
    ],
  );
});

test('tls reads its files, tls_servername applies to all servers', () => {
  const cases = [
    ['tls', {}],
    ['tls /ca.pem', { ca: PEMS['/ca.pem'] }],
    ['tls /cert.pem /key.pem', { cert: PEMS['/cert.pem'], key: PEMS['/key.pem'] }],
    [
      'tls /cert.pem /key.pem /ca.pem',
      { cert: PEMS['/cert.pem'], key: PEMS['/key.pem'], ca: PEMS['/ca.pem'] },
    ],
  ] as const;
  for (const [line, expected] of cases) {
    const { groups } = forward(`forward . tls://192.0.2.1 {\n${line}\ntls_servername a.b\n}`, PEMS);
    assert.deepEqual(groups[0]?.upstreams[0]?.tls, { ...expected, serverName: 'a.b' });
  }
});

test('tls without a TLS upstream gives a warning', () => {
  const { services } = forward('forward . 192.0.2.1 {\ntls\n}');
  assert.match(services.log.records[0]?.message ?? '', /tls has no effect/);
});

test('connections, sockets and spelling are options of the group', () => {
  const { groups } = forward(`forward . 192.0.2.1 {
    read_timeout 3s
    max_age 1h
    max_idle_conns 10
    case_randomization
    socket_per_query
    no_edns
    endpoints Dns.Kube-System.svc.cluster.local
    source_address 2001:DB8:0::9
  }`);
  const [group] = groups as [UpstreamGroupOptions];
  const { readTimeoutMs, maxAgeMs, maxIdleConnections } = group;
  assert.deepEqual([readTimeoutMs, maxAgeMs, maxIdleConnections], [3_000, 3_600_000, 10]);
  const { randomizeCase, socketPerQuery, noEdns } = group;
  assert.deepEqual([randomizeCase, socketPerQuery, noEdns], [true, true, true]);
  assert.equal(group.sourceAddress, '2001:db8::9');
  const { endpointsName = Uint8Array.of(0) } = group;
  assert.equal(nameToText(endpointsName), 'dns.kube-system.svc.cluster.local.');
});

test('names keep their position, each once, with the resolvers for them', () => {
  const files = { '/etc/resolv.conf': 'nameserver 169.254.20.10\nnameserver 192.0.2.9\n' };
  const { groups } = forward(
    'forward . 192.0.2.1 NS.Corp.example 192.0.2.2:54 ns.corp.example. dns://other.example:5353 tls://dot.example',
    files,
  );
  const [{ upstreams, names = [], resolvers, isOwn }] = groups as [UpstreamGroupOptions];
  assert.deepEqual(
    upstreams.map(({ address, port }) => `${address} ${port}`),
    ['192.0.2.1 53', '192.0.2.2 54'],
  );
  assert.deepEqual(
    names.map(({ name, port, tls, before }) => [nameToText(name), port, tls?.serverName, before]),
    [
      ['ns.corp.example.', 53, undefined, 1],
      ['other.example.', 5_353, undefined, 2],
      ['dot.example.', 853, 'dot.example', 2],
    ],
  );
  assert.deepEqual(resolvers, [{ address: '192.0.2.9', port: 53 }], 'never nodens itself');
  assert.equal(isOwn?.({ address: 'fd00::10', port: 53 }), true);
  assert.equal(isOwn?.({ address: 'fd00::10', port: 54 }), false);
});

test('resolver sets the servers that resolve names of upstreams, and does nothing without such names', () => {
  const [group] = forward('forward . a.example {\nresolver 192.0.2.7 [fd00::7]:54\n}').groups;
  assert.deepEqual(group?.resolvers, [
    { address: '192.0.2.7', port: 53 },
    { address: 'fd00::7', port: 54 },
  ]);
  const { services } = forward('forward . 192.0.2.1 {\nresolver 192.0.2.7\n}');
  assert.match(services.log.records[0]?.message ?? '', /resolver has no effect/);
});

test('a file of that name has priority over a name', () => {
  const seen = forward('forward . dns.servers', { 'dns.servers': 'nameserver 192.0.2.4\n' });
  assert.deepEqual(targetsOf(seen), ['192.0.2.4 53']);
});
