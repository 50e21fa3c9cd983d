/**
 * Reports at once that another program may have removed addresses or rules of init: the kernel sends notices by netlink, and
 * the addon drops those that are not about init's own. The kernel reports no change of legacy iptables: there a query every
 * half second finds out whether the agent still gets it. A report only means that a reconciler pass is worthwhile; the pass
 * finds out what is missing.
 */
import { addressBytes } from '../../agent/base/address.ts';
import type { Clock, Timer } from '../../agent/base/clock.ts';
import {
  bareAttribute,
  type FilterEntry,
  messagesIn,
  nativeNumberAt,
  zeroTerminated,
} from '../netlink/message.ts';
import { NFT_MESSAGE } from '../netlink/nf-objects.ts';
import { PROTOCOL, type Subscribe, type Subscription } from '../netlink/socket.ts';

/** A flush comes as many notices: one report is enough. */
const SETTLE_MS = 50;
/** Between two reports: a program that changes rules all the time must not keep init busy. */
const MIN_INTERVAL_MS = 500;
/** From one answer to the next query. */
const ASK_INTERVAL_MS = 500;
/** Where the kernel's notices do not arrive, a pass looks as often. */
const BLIND_INTERVAL_MS = 5_000;

/** Multicast groups (linux/rtnetlink.h, linux/netfilter/nfnetlink.h). */
const GROUP = { link: 1, ipv4Address: 5, ipv6Address: 9, nfTables: 7 };
/** Messages of linux/rtnetlink.h. */
const NEW_LINK = 16;
const DELETE_LINK = 17;
const DELETE_ADDRESS = 21;
/** IFLA_IFNAME, IFA_ADDRESS. */
const LINK_NAME = 3;
const ADDRESS = 1;
/** In struct ifinfomsg: where the flags are, and IFF_UP. */
const FLAGS_OFFSET = 8;
const IS_UP = 0x1;

/** Begins of the names of our tables, and of our chains in iptables' tables. A jump to such a chain contains it, too. */
const OWN_NAMES = ['nodens_', 'NODENS-'];

/** What `startMonitor` watches, and where it reports. */
export interface MonitorOptions {
  readonly clock: Clock;
  /** Local IPs, and the link they are on. */
  readonly addresses: readonly string[];
  readonly interfaceName: string;
  /** Whether nft works on this node. */
  readonly hasNft: boolean;
  /** Whether the rules still work; undefined where the kernel reports every change. Never rejects. */
  readonly isIntact: (() => Promise<boolean>) | undefined;
  /** Called 50 ms after a first sign of change, and at most twice a second. */
  readonly onChange: () => void;
  /** Undefined where there is no addon: then `onChange` is called every 5 s. */
  readonly subscribe: Subscribe | undefined;
  /** Gets why the kernel's notices do not arrive, once. */
  readonly onBlind: (reason: unknown) => void;
}

/** Returns what ends it. */
export function startMonitor(options: MonitorOptions): () => void {
  const { clock, hasNft, isIntact, onChange } = options;
  const report = limited(clock, onChange);
  const subscriptions = [ofLinks(options, report), ...(hasNft ? [ofRules(report)] : [])];
  const ends = [
    listen(options, subscriptions, report),
    ...(isIntact === undefined ? [] : [keepAsking(clock, isIntact, report)]),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** All of `subscriptions`, or a look every 5 s where one is not possible. */
function listen(
  { clock, subscribe, onBlind }: MonitorOptions,
  subscriptions: readonly Subscription[],
  report: () => void,
): () => void {
  const ends: (() => void)[] = [];
  try {
    if (subscribe !== undefined) for (const one of subscriptions) ends.push(subscribe(one));
  } catch (error) {
    onBlind(error);
  }
  if (ends.length < subscriptions.length) {
    const timer = clock.every(BLIND_INTERVAL_MS, report);
    ends.push(() => timer.cancel());
  }
  return () => {
    for (const end of ends) end();
  };
}

/** Local IPs that were deleted, and the link when it is deleted or down. */
function ofLinks({ addresses, interfaceName }: MonitorOptions, report: () => void): Subscription {
  const link = bareAttribute(LINK_NAME, zeroTerminated(interfaceName));
  return {
    protocol: PROTOCOL.route,
    groups: [GROUP.link, GROUP.ipv4Address, GROUP.ipv6Address],
    filter: [
      { type: NEW_LINK, needle: link },
      { type: DELETE_LINK, needle: link },
      ...addresses.map((ip): FilterEntry => {
        return { type: DELETE_ADDRESS, needle: bareAttribute(ADDRESS, addressBytes(ip)) };
      }),
    ],
    onMessages: (bytes) => {
      const isHarmless = bytes !== undefined && messagesIn(bytes).every(isLinkUp);
      if (!isHarmless) report();
    },
  };
}

function isLinkUp({ type, body }: { readonly type: number; readonly body: Uint8Array }): boolean {
  return type === NEW_LINK && (nativeNumberAt(body, FLAGS_OFFSET) & IS_UP) !== 0;
}

/** Tables, chains, rules and sets of ours that were deleted; a flush deletes rules. */
function ofRules(report: () => void): Subscription {
  const { deleteTable, deleteChain, deleteRule, deleteSet } = NFT_MESSAGE;
  return {
    protocol: PROTOCOL.netfilter,
    groups: [GROUP.nfTables],
    filter: [deleteTable, deleteChain, deleteRule, deleteSet].flatMap((type) =>
      OWN_NAMES.map((name) => ({ type, needle: Buffer.from(name) })),
    ),
    onMessages: report,
  };
}

/** `work` soon after the first call, and not more often than every `MIN_INTERVAL_MS`. */
function limited(clock: Clock, work: () => void): () => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  let timer: Timer | undefined;
  return () => {
    if (timer !== undefined) return;
    const waitMs = Math.max(SETTLE_MS, lastMs + MIN_INTERVAL_MS - clock.nowMs());
    timer = clock.after(waitMs, () => {
      timer = undefined;
      lastMs = clock.nowMs();
      work();
    });
  };
}

/** Waits the interval after each answer, however long that took. */
function keepAsking(
  clock: Clock,
  isIntact: () => Promise<boolean>,
  onDamage: () => void,
): () => void {
  let isEnded = false;
  let timer: Timer | undefined;
  const ask = async (): Promise<void> => {
    const intact = await isIntact();
    if (isEnded) return;
    if (!intact) onDamage();
    timer = clock.after(ASK_INTERVAL_MS, () => void ask());
  };
  void ask();
  return () => {
    isEnded = true;
    timer?.cancel();
  };
}
