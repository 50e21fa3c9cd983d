import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startMonitor } from '../../../../init/node/monitor.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

interface Child {
  readonly command: string;
  readonly startedMs: number;
  readonly line: (line: string) => void;
  readonly end: () => void;
  isKilled: boolean;
}

function monitored(intact: { value: boolean } | undefined = undefined, hasNft = true) {
  const clock = new FakeClock(0);
  const children: Child[] = [];
  const reports: number[] = [];
  const questions: number[] = [];
  const end = startMonitor({
    clock,
    addresses: ['169.254.20.10', '10.96.0.10'],
    interfaceName: 'nodens0',
    hasNft,
    isIntact:
      intact &&
      (async () => {
        questions.push(clock.nowMs());
        return intact.value;
      }),
    onChange: () => void reports.push(clock.nowMs()),
    start: (program, args, { onLine, onEnd }) => {
      const child: Child = {
        command: [program, ...args].join(' '),
        startedMs: clock.nowMs(),
        line: onLine,
        end: onEnd,
        isKilled: false,
      };
      children.push(child);
      return () => {
        child.isKilled = true;
      };
    },
  });
  const child = (program: string): Child => {
    const found = children.findLast(({ command }) => command.startsWith(program));
    assert.ok(found, `${program} was not started`);
    return found;
  };
  return { clock, children, child, reports, questions, end };
}

/** Number of reports after the program has printed the line. */
async function reportsAfter(program: string, line: string): Promise<number> {
  const { clock, child, reports } = monitored();
  child(program).line(line);
  await clock.advance(1_000);
  return reports.length;
}

describe('monitor of addresses and rules', () => {
  it('starts `ip monitor`, and `nft monitor` if nft works', () => {
    const commands = (hasNft: boolean) =>
      monitored(undefined, hasNft).children.map(({ command }) => command);
    assert.deepEqual(commands(true), ['ip monitor link address', 'nft monitor destroy']);
    assert.deepEqual(commands(false), ['ip monitor link address']);
  });

  it('reports a deleted local IP and a link that is down, and no other line of ip', async () => {
    const deleted = 'Deleted 1: lo    inet 169.254.20.10/32 scope host lo';
    assert.equal(await reportsAfter('ip', deleted), 1);
    assert.equal(await reportsAfter('ip', '1: lo    inet 169.254.20.10/32 scope host lo'), 0);
    assert.equal(await reportsAfter('ip', 'Deleted 1: lo    inet 169.254.20.1/32 scope host'), 0);
    assert.equal(await reportsAfter('ip', '7: nodens0: <BROADCAST,NOARP> mtu 1500'), 1);
    assert.equal(await reportsAfter('ip', 'Deleted 7: nodens0: <BROADCAST,NOARP> mtu'), 1);
    assert.equal(await reportsAfter('ip', '7: nodens0: <BROADCAST,NOARP,UP,LOWER_UP> mtu'), 0);
    assert.equal(await reportsAfter('ip', '8: nodens01: <BROADCAST,NOARP> mtu 1500'), 0);
  });

  it('reports deleted tables and rules of nodens, and no others', async () => {
    assert.equal(await reportsAfter('nft', 'delete table inet nodens_query_main'), 1);
    assert.equal(await reportsAfter('nft', 'delete rule ip filter NODENS-INPUT handle 3'), 1);
    assert.equal(await reportsAfter('nft', 'delete rule ip nat KUBE-SERVICES handle 3'), 0);
  });

  it('reports a flush of many lines after 50 ms, and at most twice a second', async () => {
    const { clock, child, reports } = monitored();
    for (let ms = 0; ms < 1_000; ms += 10) {
      child('nft').line('delete rule inet nodens_query_main output');
      await clock.advance(10);
    }
    assert.deepEqual(reports, [50, 550]);
    await clock.advance(1_000);
    assert.deepEqual(reports, [50, 550, 1_050]);
  });

  it('restarts a program later each time, and soon if it has worked for some time', async () => {
    const { clock, children, child } = monitored();
    for (const waitMs of [2_000, 4_000, 8_000]) {
      const before = children.length;
      child('nft').end();
      await clock.advance(waitMs - 1);
      assert.equal(children.length, before);
      await clock.advance(1);
      assert.equal(children.length, before + 1);
    }
    await clock.advance(10_001);
    const { startedMs } = child('nft');
    child('nft').end();
    await clock.advance(1_000);
    assert.equal(child('nft').startedMs, startedMs + 11_001);
  });

  it('waits at most a minute before it restarts a program', async () => {
    const { clock, children, child } = monitored();
    for (let i = 0; i < 12; i++) {
      child('ip').end();
      await clock.advance(60_000);
    }
    assert.equal(children.filter(({ command }) => command.startsWith('ip')).length, 13);
  });

  it('checks legacy rules every half second, and reports when they do not work', async () => {
    const intact = { value: true };
    const { clock, reports, questions } = monitored(intact);
    await clock.advance(1_000);
    assert.deepEqual(questions, [0, 500, 1_000]);
    assert.deepEqual(reports, []);
    intact.value = false;
    await clock.advance(550);
    assert.deepEqual(reports, [1_550]);
  });

  it('kills its children at its end, starts none again and leaves no timer', async () => {
    const { clock, children, child, reports, end } = monitored({ value: false });
    await clock.advance(100);
    child('ip').end();
    end();
    child('nft').end();
    await clock.advance(120_000);
    assert.ok(child('nft').isKilled);
    assert.equal(children.length, 2);
    assert.deepEqual(reports, [50]);
    assert.equal(clock.pendingTimers, 0);
  });
});
