import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  leaveNodeLocalDnsRules,
  runInit,
  snapshot,
  snapshotWithoutHandles,
} from '../../support/netns/init.ts';
import { canMakeNetns, type Netns, sayLeftOut, withNetns } from '../../support/netns/netns.ts';

const LOCAL = ['--localip', '169.254.20.10,10.96.0.10,fd00::a'];

/** A node with rules of other programs and policies that drop, in every kind of table that could collide with ours. */
async function populate(node: Netns): Promise<void> {
  await node.run('nft', ['-f', '-'], FOREIGN_NFT);
  await node.run('iptables-nft', ['-P', 'INPUT', 'DROP']);
  await node.run('iptables-nft', ['-A', 'INPUT', '-i', 'lo', '-j', 'ACCEPT']);
  await node.run('ip6tables-nft', [
    '-t',
    'nat',
    '-A',
    'PREROUTING',
    '-d',
    'fd00::a',
    '-j',
    'ACCEPT',
  ]);
  await node.run('ip', ['addr', 'add', '192.0.2.7/32', 'dev', 'lo']);
}

const FOREIGN_NFT = `
table inet fw {
  chain in { type filter hook input priority 0; policy drop; iif "lo" accept comment "theirs"; }
  chain out { type filter hook output priority 0; policy accept; }
}
table ip6 fw6 {
  chain out { type filter hook output priority 0; policy drop; udp sport 53 accept; }
}
`;

/** Legacy tables cannot be removed, so they exist before the comparison starts. */
async function useLegacy(node: Netns): Promise<void> {
  for (const program of ['iptables-legacy', 'ip6tables-legacy']) {
    await node.run(program, [
      '-w',
      '5',
      '-t',
      'raw',
      '-A',
      'PREROUTING',
      '-p',
      'icmp',
      '-j',
      'ACCEPT',
    ]);
    await node.run(program, ['-w', '5', '-P', 'OUTPUT', 'DROP']);
  }
}

const KINDS = [
  { kind: 'nft', flag: 'nft', prepare: populate },
  { kind: 'iptables-nft', flag: 'iptables', prepare: populate },
  {
    kind: 'iptables-legacy',
    flag: 'iptables',
    prepare: async (node: Netns) => {
      await populate(node);
      await useLegacy(node);
    },
  },
] as const;

if (!canMakeNetns()) sayLeftOut('init-rules');
else {
  for (const { kind, flag, prepare } of KINDS) {
    describe(`init with ${kind}`, { concurrency: false }, () => {
      it('sets up once, changes nothing if the state is right, and --cleanup removes all', () =>
        withNetns(['node'], async (node) => {
          await prepare(node);
          const before = await snapshotWithoutHandles(node);
          const said = await runInit(node, ...LOCAL, '--once', '--backend', flag);
          assert.match(said, new RegExp(`"backend":"${kind}"`));
          const after = await snapshot(node);
          assert.match(after, /nodens:reply-tcp4:/);
          assert.match(after, /nodens:query-pod-udp6:/);
          assert.doesNotMatch(after, /query-host/);
          await runInit(node, ...LOCAL, '--once', '--backend', flag);
          assert.equal(await snapshot(node), after);
          await runInit(node, '--cleanup');
          assert.equal(await snapshotWithoutHandles(node), before);
          await runInit(node, ...LOCAL, '--cleanup');
          assert.equal(await snapshotWithoutHandles(node), before);
        }));

      it('accepts DNS only in chains whose policy drops', () =>
        withNetns(['node'], async (node) => {
          await prepare(node);
          await runInit(node, ...LOCAL, '--once', '--backend', flag);
          const foreign = await node.run('nft', ['list', 'chain', 'inet', 'fw', 'in']);
          assert.match(foreign, /daddr { 10.96.0.10, 169.254.20.10 }.*accept-dns-in-query-udp4/);
          const out = await node.run('nft', ['list', 'chain', 'inet', 'fw', 'out']);
          assert.doesNotMatch(out, /nodens/);
          const out6 = await node.run('nft', ['list', 'chain', 'ip6', 'fw6', 'out']);
          assert.match(out6, /fd00::a.*accept-dns-out-reply-tcp6/);
          assert.doesNotMatch(out6, /169.254/);
          const compat = await node.run('iptables-nft-save', ['-t', 'filter']);
          assert.match(compat, /-A NODENS-ACCEPT-INPUT -d 169.254.20.10\/32 .*-j ACCEPT/);
          assert.doesNotMatch(compat, /NODENS-ACCEPT-OUTPUT/);
        }));
    });
  }

  describe('init and leftovers', { concurrency: false }, () => {
    for (const iptables of ['iptables-nft', 'iptables-legacy'])
      it(`--cleanup removes the rules of a crashed node-local-dns in ${iptables}`, () =>
        withNetns(['node'], async (node) => {
          await populate(node);
          if (iptables === 'iptables-legacy') await useLegacy(node);
          const before = await snapshotWithoutHandles(node);
          await leaveNodeLocalDnsRules(node, iptables, ['169.254.20.10', '10.96.0.10']);
          assert.notEqual(await snapshotWithoutHandles(node), before);
          await runInit(node, '--cleanup');
          assert.equal(await snapshotWithoutHandles(node), before);
        }));

    it('--once removes the rules of a crashed node-local-dns, too', () =>
      withNetns(['node'], async (node) => {
        await leaveNodeLocalDnsRules(node, 'iptables-nft', ['169.254.20.10']);
        await runInit(node, ...LOCAL, '--once');
        assert.doesNotMatch(await node.run('iptables-nft-save', []), /NodeLocal DNS Cache/);
      }));

    it('another --backend moves the rules to it', () =>
      withNetns(['node'], async (node) => {
        await runInit(node, ...LOCAL, '--once', '--backend', 'nft');
        const wanted = await snapshotWithoutHandles(node);
        await runInit(node, ...LOCAL, '--once', '--backend', 'iptables');
        assert.doesNotMatch(await node.run('nft', ['list', 'tables']), /nodens_(query|standing)/);
        await runInit(node, ...LOCAL, '--once', '--backend', 'nft');
        assert.doesNotMatch(await node.run('iptables-nft-save', []), /NODENS-(QUERY|STANDING)/);
        await runInit(node, ...LOCAL, '--cleanup');
        await runInit(node, ...LOCAL, '--once', '--backend', 'nft');
        assert.equal(await snapshotWithoutHandles(node), wanted);
      }));

    it('--observe, --once and --cleanup create no legacy table', () =>
      withNetns(['node'], async (node) => {
        const said = await runInit(node, ...LOCAL, '--observe');
        assert.match(said, /backend nft: nft works here/);
        await runInit(node, ...LOCAL, '--once');
        await runInit(node, ...LOCAL, '--cleanup');
        for (const file of ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'])
          assert.equal(await node.run('cat', [file]), '');
      }));

    it('--observe changes nothing', () =>
      withNetns(['node'], async (node) => {
        const before = await snapshot(node);
        const said = await runInit(node, ...LOCAL, '--observe');
        assert.match(said, /^ip addr add 169.254.20.10\/32 dev lo scope host/m);
        assert.match(said, /query-host-udp6/);
        assert.equal(await snapshot(node), before);
      }));
  });
}
