/** Other programs flush or delete rules and addresses of init, or try to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { timed, until } from '../../support/cluster/process/wait.ts';
import { allowedMs } from '../../support/machine.ts';
import { assertSettled } from '../../support/netns/faults.ts';
import {
  hasQueryTable,
  LINK_LOCAL,
  runInit,
  snapshotWithoutHandles,
  startEcho,
  startedInit,
  withRoom,
} from '../../support/netns/init.ts';
import { canMakeNetns, eventually, type Netns, sayLeftOut } from '../../support/netns/netns.ts';

const REPAIR_MS = 1_000;

/** Rules and addresses of nodens, sorted: nft lists tables in the order of their creation. */
async function setup(node: Netns): Promise<string> {
  return (await snapshotWithoutHandles(node)).split('\n').sort().join('\n');
}

/**
 * Does the damage and waits until the node is as before; returns the time, milliseconds. A check in progress may
 * restore one half, and the next one the other.
 */
async function repairMs(node: Netns, before: string, damage: readonly string[]): Promise<number> {
  await node.run(damage[0] as string, damage.slice(1));
  const isWhole = async (): Promise<boolean> => (await setup(node)) === before;
  const [, tookMs] = await timed(() => until(`repaired: ${damage.join(' ')}`, isWhole));
  return tookMs;
}

if (!canMakeNetns()) sayLeftOut('fault-rules');
else
  describe('rules that other programs change', { concurrency: false }, () => {
    it('restores rules that other programs flush or delete', () =>
      withRoom(async (room) => {
        const { node } = room;
        const init = await startedInit(room);
        await startEcho(node, 'agent', LINK_LOCAL);
        await eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
        const repairs = (): number => init.output().split('"event":"rules-restored"').length - 1;
        const before = await setup(node);
        for (const damage of [
          ['nft', 'flush', 'ruleset'],
          ['nft', 'flush', 'table', 'inet', 'nodens_standing_main'],
          ['nft', 'delete', 'chain', 'inet', 'nodens_standing_main', 'output'],
          ['ip', 'addr', 'del', `${LINK_LOCAL}/32`, 'dev', 'lo'],
        ]) {
          const reported = repairs();
          await repairMs(node, before, damage);
          await eventually('init logs the repair', () => repairs() > reported);
        }
      }));

    it('repairs within a second, with any interval, and then makes no further change', () =>
      withRoom(async (room) => {
        const { node } = room;
        const init = await startedInit(room, '--syncinterval', '1h');
        await startEcho(node, 'agent', LINK_LOCAL);
        await eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
        const before = await setup(node);
        for (const damage of [
          ['nft', 'flush', 'ruleset'],
          ['nft', 'delete', 'table', 'inet', 'nodens_standing_main'],
          ['ip', 'addr', 'del', `${LINK_LOCAL}/32`, 'dev', 'lo'],
          ['ip', 'link', 'set', 'lo', 'down'],
        ]) {
          await assertSettled(damage.join(' '), REPAIR_MS, () => repairMs(node, before, damage));
        }
        const said = init.output().split('"event":"rules-restored"').length;
        await setTimeout(1_200);
        assert.equal(init.output().split('"event":"rules-restored"').length, said);
      }));

    it('no other program can remove the query rules, and the kernel drops them with init', () =>
      withRoom(async (room) => {
        const { node } = room;
        const init = await startedInit(room, '--syncinterval', '1h');
        await startEcho(node, 'agent', LINK_LOCAL);
        await eventually('init intercepts', () => hasQueryTable(node));
        const name = /nodens_query_[0-9a-f]{8}/.exec(
          await node.run('nft', ['list', 'tables']),
        )?.[0];
        await assert.rejects(
          node.run('nft', ['delete', 'table', 'inet', name ?? '']),
          /Operation not permitted/,
        );
        await assert.rejects(runInit(node, '--cleanup'), /Operation not permitted/);
        const boundMs = await allowedMs(200);
        init.kill('SIGKILL');
        await init.exited;
        await eventually(
          'the kernel drops the query rules',
          async () => !(await hasQueryTable(node)),
          boundMs,
        );
        await runInit(node, '--cleanup');
        assert.doesNotMatch(await node.run('nft', ['list', 'tables']), /nodens_/);
      }));
  });
