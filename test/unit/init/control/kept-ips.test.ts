import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KeptIps } from '../../../../init/control/kept-ips.ts';
import { CommandError } from '../../../../init/node/exec.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { failure, fakeLog, fakeSystem } from '../fake-system.ts';

const OWN = '169.254.20.10';
const EARLIER = '10.96.0.10';
const EARLIER6 = 'fd00::a';

const HEAD =
  '  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref pointer drops\n';
const socket = (address: string, port: string, state: string): string =>
  `${HEAD} 1: ${address}:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 0 0 1 2 0 0\n`;
/** 10.96.0.10 as /proc writes it. */
const HEX = '0A00600A';

const NONE = { keptIps: [], removedIps: [] };

interface Node {
  files: Record<string, string>;
  held: readonly string[];
  strays: readonly string[];
  conntrack: CommandError | undefined;
  complete: boolean;
}

function setup(node: Partial<Node> = {}) {
  const state: Node = {
    ...{ files: {}, held: [OWN, EARLIER], strays: [], conntrack: undefined, complete: true },
    ...node,
  };
  const clock = new FakeClock();
  const { log, lines } = fakeLog();
  const { system, calls } = fakeSystem((command) =>
    command.startsWith('conntrack') ? state.conntrack : undefined,
  );
  const removed: string[][] = [];
  const passes: (readonly string[])[] = [];
  const kept: KeptIps = new KeptIps({
    ...{ plan: { addresses: [OWN], interceptedIps: [OWN], port: 53 }, clock, log },
    standingIps: async () => state.held,
    pass: async () => {
      const { removedIps } = await kept.look();
      passes.push(removedIps);
      if (state.complete) state.held = state.held.filter((ip) => !removedIps.includes(ip));
      return state.complete;
    },
    link: {
      strays: async () => [...state.strays],
      remove: async (addresses) => {
        removed.push([...addresses]);
        return addresses.map((ip) => `ip addr del ${ip}`);
      },
    },
    system: { ...system, read: async (path) => state.files[path] },
  });
  return { state, clock, kept, removed, passes, lines, calls };
}

describe('local IPs that are not in the plan', () => {
  it('are kept while standing rules name them', async () => {
    const { kept } = setup({ held: [EARLIER6, OWN, EARLIER] });
    assert.deepEqual(await kept.look(), { keptIps: [EARLIER6, EARLIER], removedIps: [] });
  });

  it('do not exist if rules name only addresses of the plan', async () => {
    const { kept, clock } = setup({ held: [OWN] });
    assert.deepEqual(await kept.look(), NONE);
    kept.watch();
    assert.equal(clock.pendingTimers, 0);
  });

  for (const [what, path, text] of [
    ['a UDP socket', '/proc/net/udp', socket(HEX, '0035', '07')],
    ['a listener', '/proc/net/tcp', socket(HEX, '0035', '0A')],
    ['a connection', '/proc/net/tcp', socket(HEX, '0035', '01')],
  ] as const)
    it(`are kept while they have ${what}`, async () => {
      const { state, clock, kept, passes } = setup({ files: { [path]: text } });
      await kept.look();
      kept.watch();
      await clock.advance(600_000);
      assert.equal(passes.length, 0);
      state.files = {};
      await clock.advance(20_000);
      assert.equal(passes.length, 1);
    });

  it('lose conntrack entries, rules and address when no socket is bound to them', async () => {
    const files = {
      '/proc/net/udp': socket('00000000', '0035', '07'),
      '/proc/net/tcp': socket(HEX, '0035', '06') + socket(HEX, '0050', '0A'),
    };
    const { clock, kept, removed, passes, calls, lines } = setup({ files });
    await kept.look();
    kept.watch();
    await clock.advance(4_000);
    assert.equal(passes.length, 0, 'removed too early: an agent may restart');
    await clock.advance(16_000);
    assert.deepEqual(
      calls.map(({ command }) => command),
      ['udp', 'tcp'].map(
        (p) => `conntrack -D -f ipv4 -p ${p} --orig-src ${EARLIER} --orig-port-src 53`,
      ),
    );
    assert.equal(passes.length, 1);
    assert.deepEqual(passes, [[EARLIER]]);
    assert.deepEqual(removed, [[EARLIER]]);
    assert.match(lines.join(), /^info removed local IPs of earlier settings/);
    assert.equal(clock.pendingTimers, 0);
  });

  it('are removed by the mark of their address if no rule names them', async () => {
    const { clock, kept, removed } = setup({ held: [OWN], strays: [EARLIER] });
    assert.deepEqual(await kept.look(), NONE);
    kept.watch();
    await clock.advance(20_000);
    assert.deepEqual(removed[0], [EARLIER]);
  });

  it('keep their address until their rules can be removed', async () => {
    const { state, clock, kept, removed, passes } = setup({ complete: false });
    await kept.look();
    kept.watch();
    await clock.advance(20_000);
    assert.ok(passes.length > 1, 'the removal was not tried again');
    assert.deepEqual(removed, []);
    state.complete = true;
    await clock.advance(4_000);
    assert.deepEqual(removed, [[EARLIER]]);
  });

  it('are kept until conntrack entries time out if init cannot delete the entries', async () => {
    const conntrack = new CommandError('conntrack', undefined, 'spawn conntrack ENOENT');
    const { clock, kept, passes, lines } = setup({ conntrack });
    await kept.look();
    kept.watch();
    await clock.advance(170_000);
    assert.deepEqual([passes.length, lines.length], [0, 1]);
    await clock.advance(20_000);
    assert.equal(passes.length, 1);
    const none = setup({ conntrack: failure('conntrack', '0 flow entries have been deleted.') });
    await none.kept.look();
    none.kept.watch();
    await none.clock.advance(20_000);
    assert.equal(none.passes.length, 1);
  });

  it('are left alone if they appear after the start: another running init needs them', async () => {
    const { state, clock, kept, passes } = setup();
    await kept.look();
    kept.watch();
    await clock.advance(20_000);
    assert.equal(passes.length, 1);
    for (const ip of [EARLIER, '10.96.0.99']) {
      state.held = [OWN, ip];
      assert.deepEqual((await kept.look()).keptIps, [ip]);
      await clock.advance(60_000);
    }
    assert.equal(passes.length, 1);
    assert.equal(clock.pendingTimers, 0);
  });
});
