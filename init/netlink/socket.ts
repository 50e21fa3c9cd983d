/** init's netlink sockets, which the addon has (`native/netlink`). */
import { errnoOf, messageOf } from '../../agent/base/errors.ts';
import type { InitAddon } from '../node/addon.ts';
import { CommandError } from '../node/exec.ts';
import { type FilterEntry, filterBytes } from './message.ts';

/** Netlink protocols that init speaks (linux/netlink.h). */
export const PROTOCOL = { route: 0, netfilter: 12 } as const;

/** One question: a request, and what of the answer is wanted. */
export interface Question {
  /** What is asked, for errors: `rules of ip nat`. */
  readonly what: string;
  readonly request: Uint8Array;
  readonly filter: readonly FilterEntry[];
  /** Messages after which the answer is not read further; 0: all of it. */
  readonly most: number;
}

/**
 * Asks nf_tables and resolves to the messages that pass the filter. Rejects with `CommandError`; its `stderr` ends with
 * the errno's text, as those of programs do.
 */
export type AskKernel = (question: Question) => Promise<Uint8Array>;

/** How often a question is repeated whose answer changed while it was read. */
const ATTEMPTS = 20;

/** `AskKernel` by the addon. */
export function askBy(addon: Pick<InitAddon, 'queryNetlink'>): AskKernel {
  return async ({ what, request, filter, most }) => {
    const bytes = filterBytes(filter);
    for (let attempt = 1; ; attempt++) {
      try {
        return await addon.queryNetlink(PROTOCOL.netfilter, request, bytes, most);
      } catch (error) {
        if (errnoOf(error) === 'EINTR' && attempt < ATTEMPTS) continue;
        throw new CommandError(`netlink: ${what}`, undefined, messageOf(error));
      }
    }
  };
}

/** What to listen to on one netlink socket. */
export interface Subscription {
  readonly protocol: number;
  /** Multicast groups by their number (RTNLGRP_…, NFNLGRP_…). */
  readonly groups: readonly number[];
  readonly filter: readonly FilterEntry[];
  /** Gets messages that pass the filter, or undefined where the kernel had no room for some. */
  readonly onMessages: (messages: Uint8Array | undefined) => void;
}

/** Listens until the function that it returns is called. Throws the system's error where that is not possible. */
export type Subscribe = (subscription: Subscription) => () => void;

/** `Subscribe` by the addon. */
export function subscribeBy(addon: Pick<InitAddon, 'watchNetlink' | 'unwatchNetlink'>): Subscribe {
  return ({ protocol, groups, filter, onMessages }) => {
    const watch = addon.watchNetlink(
      protocol,
      Int32Array.from(groups),
      filterBytes(filter),
      onMessages,
    );
    return () => addon.unwatchNetlink(watch);
  };
}
