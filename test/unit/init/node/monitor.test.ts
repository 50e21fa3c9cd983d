import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  attribute,
  type FilterEntry,
  message,
  messagesIn,
  zeroTerminated,
} from '../../../../init/netlink/message.ts';
import { NFT_MESSAGE } from '../../../../init/netlink/nf-objects.ts';
import type { Subscription } from '../../../../init/netlink/socket.ts';
import { startMonitor } from '../../../../init/node/monitor.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const ROUTE = 0;
const NETFILTER = 12;
const IS_UP = 1;

interface Options {
  readonly intact?: { value: boolean };
  readonly hasNft?: boolean;
  /** Groups that cannot be joined, or no addon at all. */
  readonly broken?: 'groups' | 'addon';
}

function monitored({ intact, hasNft = true, broken }: Options = {}) {
  const clock = new FakeClock(0);
  const open = new Set<Subscription>();
  const reports: number[] = [];
  const questions: number[] = [];
  const blind: unknown[] = [];
  const subscribe = (subscription: Subscription): (() => void) => {
    if (broken === 'groups' && subscription.protocol === NETFILTER) throw new Error('EPERM');
    open.add(subscription);
    return () => void open.delete(subscription);
  };
  const end = startMonitor({
    clock,
    addresses: ['169.254.20.10', 'fd00::10'],
    interfaceName: 'nodens0',
    hasNft,
    isIntact:
      intact &&
      (async () => {
        questions.push(clock.nowMs());
        return intact.value;
      }),
    onChange: () => void reports.push(clock.nowMs()),
    subscribe: broken === 'addon' ? undefined : subscribe,
    onBlind: (reason) => void blind.push(reason),
  });
  /** What the kernel says, as far as it passes the filter. */
  const notice = (protocol: number, bytes: Uint8Array): void => {
    for (const one of open)
      if (one.protocol === protocol && one.filter.some((entry) => passes(entry, bytes)))
        one.onMessages(bytes);
  };
  const lose = (): void => {
    for (const one of open) one.onMessages(undefined);
  };
  return { clock, open, reports, questions, blind, notice, lose, end };
}

function passes({ type, needle }: FilterEntry, bytes: Uint8Array): boolean {
  return messagesIn(bytes).some(
    (one) => one.type === type && Buffer.from(one.body).includes(Buffer.from(needle)),
  );
}

/** struct ifinfomsg and the link's name. */
function link(type: number, name: string, flags: number): Uint8Array {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(flags, 8);
  return message(type, 0, head, [
    attribute(3, zeroTerminated(name)),
    attribute(13, Buffer.alloc(8)),
  ]);
}

const addressGone = (bytes: readonly number[], type = 21): Uint8Array =>
  message(type, 0, Buffer.alloc(8), [attribute(1, Uint8Array.from(bytes))]);

const nftNotice = (type: number, ...names: readonly string[]): Uint8Array =>
  message(
    type,
    0,
    Buffer.alloc(4),
    names.map((name, i) => attribute(i + 1, zeroTerminated(name))),
  );

/** Reports after this notice. */
async function reportsAfter(protocol: number, bytes: Uint8Array): Promise<number> {
  const { clock, reports, notice } = monitored();
  notice(protocol, bytes);
  await clock.advance(1_000);
  return reports.length;
}

describe('monitor of addresses and rules', () => {
  it('listens to links and addresses, and to rules where nft works', () => {
    const groups = (hasNft: boolean) => [...monitored({ hasNft }).open].map((one) => one.groups);
    assert.deepEqual(groups(true), [[1, 5, 9], [7]]);
    assert.deepEqual(groups(false), [[1, 5, 9]]);
  });

  it('reports a local IP that was deleted and a link that is down, nothing else', async () => {
    assert.equal(await reportsAfter(ROUTE, addressGone([169, 254, 20, 10])), 1);
    assert.equal(await reportsAfter(ROUTE, addressGone([169, 254, 20, 10], 20)), 0);
    assert.equal(await reportsAfter(ROUTE, addressGone([169, 254, 20, 1])), 0);
    const v6 = [0xfd, ...Array<number>(14).fill(0), 0x10];
    assert.equal(await reportsAfter(ROUTE, addressGone(v6)), 1);
    assert.equal(await reportsAfter(ROUTE, link(16, 'nodens0', 0)), 1);
    assert.equal(await reportsAfter(ROUTE, link(16, 'nodens0', IS_UP)), 0);
    assert.equal(await reportsAfter(ROUTE, link(17, 'nodens0', IS_UP)), 1);
    assert.equal(await reportsAfter(ROUTE, link(16, 'nodens01', 0)), 0);
  });

  it('reports a link that is down among others', async () => {
    const { clock, reports, notice } = monitored();
    notice(ROUTE, Buffer.concat([link(16, 'nodens0', IS_UP), link(16, 'nodens0', 0)]));
    await clock.advance(1_000);
    assert.equal(reports.length, 1);
  });

  it('reports what is deleted of nodens only', async () => {
    const { deleteTable, deleteRule, newRule } = NFT_MESSAGE;
    const report = (bytes: Uint8Array) => reportsAfter(NETFILTER, bytes);
    assert.equal(await report(nftNotice(deleteTable, 'nodens_query_main')), 1);
    assert.equal(await report(nftNotice(deleteRule, 'filter', 'NODENS-INPUT')), 1);
    assert.equal(await report(nftNotice(deleteRule, 'nat', 'KUBE-SERVICES')), 0);
    assert.equal(await report(nftNotice(newRule, 'filter', 'NODENS-INPUT')), 0);
  });

  it('reports where the kernel had no room for notices', async () => {
    const { clock, reports, lose } = monitored();
    lose();
    await clock.advance(1_000);
    assert.deepEqual(reports, [50]);
  });

  it('reports a flush of many notices once, soon, and not more often than twice a second', async () => {
    const { clock, notice, reports } = monitored();
    for (let ms = 0; ms < 1_000; ms += 10) {
      notice(NETFILTER, nftNotice(NFT_MESSAGE.deleteRule, 'nodens_query_main', 'output'));
      await clock.advance(10);
    }
    assert.deepEqual(reports, [50, 550]);
    await clock.advance(1_000);
    assert.deepEqual(reports, [50, 550, 1_050]);
  });

  it('without notices it reports every 5 s, and says why there are none', async () => {
    for (const broken of ['groups', 'addon'] as const) {
      const { clock, reports, blind, end } = monitored({ broken });
      await clock.advance(10_100);
      assert.deepEqual(reports, [5_050, 10_050]);
      assert.equal(blind.length, broken === 'groups' ? 1 : 0);
      end();
      await clock.advance(10_000);
      assert.deepEqual([reports.length, clock.pendingTimers], [2, 0]);
    }
  });

  it('checks legacy rules every half second, and reports when they do not work', async () => {
    const intact = { value: true };
    const { clock, reports, questions } = monitored({ intact });
    await clock.advance(1_000);
    assert.deepEqual(questions, [0, 500, 1_000]);
    assert.deepEqual(reports, []);
    intact.value = false;
    await clock.advance(550);
    assert.deepEqual(reports, [1_550]);
  });

  it('ended, it listens no more and leaves no timer', async () => {
    const { clock, open, reports, end } = monitored({ intact: { value: false } });
    await clock.advance(100);
    end();
    await clock.advance(120_000);
    assert.equal(open.size, 0);
    assert.deepEqual(reports, [50]);
    assert.equal(clock.pendingTimers, 0);
  });
});
