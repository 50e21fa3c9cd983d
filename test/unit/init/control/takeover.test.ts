import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type NodeLocalDnsTables,
  NodeLocalDnsTakeover,
} from '../../../../init/control/takeover.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { failure, fakeLog, fakeSystem, type Script } from '../fake-system.ts';

const LINK = {
  ifname: 'nodelocaldns',
  flags: ['UP'],
  linkinfo: { info_kind: 'dummy' },
  addr_info: [{ local: '169.254.20.10', prefixlen: 32, scope: 'global' }],
};
const LO = { ifname: 'lo', flags: ['UP'], addr_info: [] };
/** A socket on 169.254.20.10:53, as the kernel writes it. */
const BOUND =
  '  sl  local_address\n   7: 0A14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n';

interface Node {
  /** What the server on the local IP answers to a probe. */
  answer?: string;
  sockets: string;
  rules: string[];
  links: object[];
  obstacle?: Error;
}

function watched(node: Node) {
  const clock = new FakeClock();
  const script: Script = (command) =>
    command === 'ip -j -d addr show' ? JSON.stringify(node.links) : undefined;
  const { system, calls } = fakeSystem(script);
  const { log, lines } = fakeLog();
  const table: NodeLocalDnsTables = {
    nodeLocalDnsRules: async () => node.rules,
    removeNodeLocalDns: async () => {
      if (node.obstacle !== undefined) throw node.obstacle;
      return node.rules.splice(0);
    },
  };
  const leftovers = new NodeLocalDnsTakeover({
    system: { ...system, read: async (path) => (path === '/proc/net/udp' ? node.sockets : '') },
    ...{ clock, log, port: 53, ownsAddresses: true, syncIntervalMs: 60_000 },
    plan: { interfaceName: 'lo', addresses: ['169.254.20.10'] },
    tables: async () => [table],
    probe: async () =>
      node.answer === undefined ? { text: undefined, isRefused: false } : { text: node.answer },
  });
  const commands = (): string[] =>
    calls.map(({ command }) => command).filter((command) => !command.includes('show'));
  return { leftovers, clock, lines, commands };
}

describe('leftovers of node-local-dns', () => {
  it('init removes rules and dummy link of a dead process', async () => {
    const node = { sockets: '', rules: ['-A OUTPUT x'], links: [LO, LINK] };
    const { leftovers, lines, commands } = watched(node);
    await leftovers.watch();
    assert.deepEqual(node.rules, []);
    assert.deepEqual(commands(), ['ip link del dev nodelocaldns']);
    assert.equal(lines.length, 2);
    leftovers.stop();
  });

  it('init keeps those of a running process, logs it once and checks often', async () => {
    const node: Node = { sockets: BOUND, rules: ['-A OUTPUT x'], links: [LO] };
    const { leftovers, clock, lines } = watched(node);
    await leftovers.watch();
    await clock.advance(5_000);
    await clock.advance(5_000);
    assert.equal(node.rules.length, 1);
    assert.deepEqual(lines, [
      'warn a node-local-dns still runs here: nodens leaves it alone and waits',
    ]);
    node.sockets = '';
    await clock.advance(5_000);
    assert.deepEqual(node.rules, []);
    leftovers.stop();
    assert.equal(clock.pendingTimers, 0);
  });

  it('init removes them although the local IP is bound, if nodens answers there', async () => {
    const node: Node = { sockets: BOUND, answer: 'nonce', rules: ['-A OUTPUT x'], links: [LO] };
    const { leftovers } = watched(node);
    await leftovers.watch();
    assert.deepEqual(node.rules, []);
    leftovers.stop();
  });

  it('init removes leftovers that appear later at the next interval', async () => {
    const node: Node = { sockets: '', rules: [], links: [LO] };
    const { leftovers, clock, lines } = watched(node);
    await leftovers.watch();
    node.rules.push('-A OUTPUT x');
    await clock.advance(60_000);
    assert.deepEqual(node.rules, []);
    assert.equal(lines.length, 1);
    leftovers.stop();
  });

  it('init logs a failed removal once, and tries again', async () => {
    const node: Node = { sockets: '', rules: ['-A OUTPUT x'], links: [LO] };
    node.obstacle = failure('iptables-restore', 'locked');
    const { leftovers, clock, lines } = watched(node);
    await leftovers.watch();
    await clock.advance(5_000);
    assert.deepEqual(lines, ['warn cannot remove what a dead node-local-dns left']);
    delete node.obstacle;
    await clock.advance(5_000);
    assert.deepEqual(node.rules, []);
    leftovers.stop();
  });
});
