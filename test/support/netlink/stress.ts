/**
 * init's netlink in random order: queries that find much, little or nothing, filters that are none, watches that come and go
 * while rules change, and sockets that are closed in use. Arguments: the folder of the addon, and rounds. Needs CAP_NET_ADMIN.
 */
import { createRequire } from 'node:module';
import { argv } from 'node:process';
import { transactionOf } from '../../../init/firewall/nft/bytes/transaction.ts';
import { attribute, filterBytes, message, zeroTerminated } from '../../../init/netlink/message.ts';
import { NFT_MESSAGE } from '../../../init/netlink/nf-objects.ts';
import type { InitAddon } from '../../../init/node/addon.ts';

const [, , folder = '', rounds = '100'] = argv;
const addon = createRequire(import.meta.url)(`${folder}/init.node`) as InitAddon;
const NETFILTER = 12;
const random = (below: number): number => Math.floor(Math.random() * below);
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => random(256));

let settled = 0;
const count = (work: Promise<unknown>): Promise<void> =>
  work.then(
    () => void settled++,
    () => void settled++,
  );

/** What throws has been refused, which is an answer, too. */
function tried(work: () => Promise<unknown>): Promise<void> {
  try {
    return count(work());
  } catch {
    settled++;
    return Promise.resolve();
  }
}

const chains = message(NFT_MESSAGE.getChain, 0x301, Uint8Array.of(0, 0, 0, 0), []);
/** The kernel acknowledges every request, also one that it does not understand. */
const garbled = (): Uint8Array =>
  message(NFT_MESSAGE.getChain, 0x5, Uint8Array.of(1, 0, 0, 0), [attribute(1, bytes(random(60)))]);
const table = (i: number) => ({
  table: {
    name: `nodens_stress_${i}`,
    chains: [
      {
        ...({ name: 'output', type: 'filter', hook: 'output', priority: 0 } as const),
        rules: [
          { id: 'a', match: 'udp dport 53 ip daddr { 10.0.0.1, 10.0.0.2 }', action: 'notrack' },
        ],
      },
    ],
  },
});

for (let round = 0; round < Number(rounds); round++) {
  const needles = [new Uint8Array(0), zeroTerminated('output'), attribute(1, bytes(random(40)))];
  const filter = filterBytes(
    Array.from({ length: 1 + random(4) }, () => ({
      type: NFT_MESSAGE.newChain,
      needle: needles[random(needles.length)] ?? new Uint8Array(0),
      excludes: random(4) === 0,
    })),
  );
  const groups = Int32Array.of(7);
  const watch = addon.watchNetlink(
    NETFILTER,
    groups,
    filterBytes([{ type: NFT_MESSAGE.deleteRule, needle: Buffer.from('nodens_') }]),
    () => settled++,
  );
  const owner = addon.openNetlink(NETFILTER);
  const work = [
    tried(() => addon.queryNetlink(NETFILTER, chains, filter, random(3))),
    tried(() => addon.queryNetlink(owner, transactionOf([table(random(5))]), filter, 0)),
    tried(() => addon.queryNetlink(owner, chains, filter, 0)),
    tried(() => addon.closeNetlink(owner)),
    tried(() => addon.queryNetlink(NETFILTER, garbled(), filter, 0)),
    tried(() => addon.queryNetlink(NETFILTER, chains, bytes(random(30)), 0)),
    tried(() => addon.queryNetlink(random(20), new Uint8Array(random(16)), filter, 0)),
  ];
  if (random(3) === 0) addon.unwatchNetlink(watch);
  await Promise.all(work);
  await tried(() => addon.closeNetlink(owner));
  addon.unwatchNetlink(watch);
  if (round % 10 === 0) globalThis.gc?.();
}
process.stdout.write(`survived ${settled}\n`);
