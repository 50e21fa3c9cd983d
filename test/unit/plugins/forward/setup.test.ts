import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { parseCorefile } from '../../../../agent/config/corefile/parser.ts';
import type { Block, Directive } from '../../../../agent/config/corefile/types.ts';
import { nameToText } from '../../../../agent/dns/name.ts';
import { setup } from '../../../../agent/plugins/forward/setup.ts';
import type { UpstreamGroupOptions } from '../../../../agent/query/services.ts';
import { memoryFiles } from '../../../support/corefiles/memory-files.ts';
import { type FakeServices, fakeServices, TEST_BLOCK } from '../../../support/services.ts';

interface Seen {
  readonly groups: UpstreamGroupOptions[];
  readonly services: FakeServices;
}

/** Sets up and starts the forward lines of one block; gives the groups they asked for. */
function forward(lines: string, files: Record<string, string> = {}): Seen {
  const groups: UpstreamGroupOptions[] = [];
  const services = fakeServices({
    upstreams: {
      group: (options) => {
        groups.push(options);
        return { exchange: () => Promise.reject(new Error('not here')), release: () => undefined };
      },
    },
    block: {
      ...TEST_BLOCK,
      servers: [
        { index: 0, label: 'dns://169.254.20.10:53' },
        { index: 1, label: 'dns://[fd00::10]:53' },
      ],
    },
  });
  for (const [path, text] of Object.entries(files)) services.texts.set(path, text);
  const { blocks } = parseCorefile(`. {\n${lines}\n}`, {
    file: 'Corefile',
    defaultPort: 53,
    env: {},
    files: memoryFiles({}),
  });
  const [block] = blocks as [Block];
  const [directive] = block.directives as [Directive];
  setup(directive, block, services).start?.();
  return { groups, services };
}

const targetsOf = ({ groups }: Seen): string[] =>
  (groups[0]?.targets ?? []).map(({ address, port }) => `${address} ${port}`);

test('defaults are the peer’s', () => {
  const { groups } = forward('forward . 192.0.2.1');
  const [{ healthCheck, targets, ...rest }] = groups as [UpstreamGroupOptions];
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
  assert.deepEqual(targets, [{ address: '192.0.2.1', port: 53 }]);
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
  const [{ healthCheck, targets: _, ...rest }] = groups as [UpstreamGroupOptions];
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

test('targets in every spelling', () => {
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
    '# nameserver 192.0.2.9\nsearch x\n nameserver 192.0.2.1 # first\nnameserver fe80::1%eth0\nnameserver bogus\noptions ndots:5\r\nnameserver 192.0.2.2\r\n';
  const seen = forward('forward . /etc/resolv.conf', { '/etc/resolv.conf': text });
  assert.deepEqual(targetsOf(seen), ['192.0.2.1 53', 'fe80::1%eth0 53', '192.0.2.2 53']);
});

test('own addresses and files without nameservers are left out with a warning', () => {
  const seen = forward('forward . 169.254.20.10 [fd00::10]:53 /empty 192.0.2.1', { '/empty': '' });
  assert.deepEqual(targetsOf(seen), ['192.0.2.1 53']);
  const warnings = seen.services.log.records.map(({ level, message }) => `${level} ${message}`);
  assert.deepEqual(warnings, [
    'warn no nameserver in /empty: going on without it',
    'warn not forwarding to 169.254.20.10:53: nodens itself listens there',
    'warn not forwarding to [fd00::10]:53: nodens itself listens there',
  ]);
});

test('options without effect say so', () => {
  const { services } = forward(
    'forward . 192.0.2.1 {\nread_timeout 3s\nmax_age 1h\nmax_idle_conns 10\n}',
  );
  assert.equal(services.log.records.filter(({ level }) => level === 'warn').length, 3);
});

const WRONG: readonly [string, RegExp][] = [
  ['forward', /needs/],
  ['forward .', /needs/],
  [
    'forward . dns.example',
    /Corefile:2: "dns.example" is neither an IP address nor a readable file/,
  ],
  ['forward . tls://192.0.2.1', /tls:\/\/192.0.2.1 is not supported yet/],
  ['forward . https://192.0.2.1', /not supported yet/],
  ['forward . gopher://192.0.2.1', /unknown scheme/],
  ['forward . dns://example', /is not an IP address/],
  ['forward . 192.0.2.1:0', /neither an IP address/],
  ['forward . 169.254.20.10', /nodens itself listens there, and no other/],
  ['forward . /empty', /no nameserver found/],
  [`forward . ${Array.from({ length: 16 }, (_, i) => `192.0.2.${i}`).join(' ')}`, /at most 15/],
  [
    'forward . 192.0.2.1 {\ntls_servername x\n}',
    /Corefile:3: forward option tls_servername is not supported yet/,
  ],
  ['forward . 192.0.2.1 {\nforce_udp\n}', /Corefile:3: unknown option "force_udp"/],
  ['forward . 192.0.2.1 {\nforce_tcp yes\n}', /takes no argument/],
  ['forward . 192.0.2.1 {\npolicy fastest\n}', /unknown "fastest"/],
  ['forward . 192.0.2.1 {\nmax_fails -1\n}', /too little/],
  ['forward . 192.0.2.1 {\nexpire 10\n}', /a duration like/],
  ['forward . 192.0.2.1 {\nhealth_check\n}', /needs/],
  ['forward . 192.0.2.1 {\nhealth_check 1s domain\n}', /needs a name/],
  ['forward . 192.0.2.1 {\nhealth_check 1s rec\n}', /unknown "rec"/],
  ['forward . 192.0.2.1 {\nfailover NOERROR\n}', /NOERROR/],
  ['forward . 192.0.2.1 {\nnext SOMETIMES\n}', /not a response code/],
  ['forward . 192.0.2.1 {\nexcept\n}', /needs/],
];

for (const [text, reason] of WRONG) {
  test(`refused: ${text.replaceAll('\n', ' ').slice(0, 60)}`, () => {
    assert.throws(
      () => forward(text, { '/empty': 'search example.org\n' }),
      (error) => {
        assert.ok(error instanceof ConfigError, String(error));
        assert.match(error.message, reason);
        return true;
      },
    );
  });
}
