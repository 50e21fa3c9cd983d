/** Loads init's addon (`native/`). */
import { createRequire } from 'node:module';
import { errnoOf, messageOf } from '../../agent/base/errors.ts';
import type { PagesAddon } from '../../agent/base/pages.ts';

/** Exports of init's native addon (Node-API). */
export interface InitAddon extends PagesAddon {
  /** Takes the exit status of a child that has ended and that Node did not start (`native/process/child_reaping.c`). */
  reap(pid: number): void;
  /** A netlink socket for `queryNetlink`; it owns the tables that it makes with the flag `owner` (`native/netlink/owner.c`). */
  openNetlink(protocol: number): object;
  /** Closes it; the kernel has dropped its tables when this resolves. Throws EBUSY while a query uses it. */
  closeNetlink(socket: object): Promise<void>;
  /**
   * Sends a netlink request, on a new socket of the protocol or on one of `openNetlink`, and resolves to the messages
   * of the answer that pass the filter, at most 1 MiB and, above 0, at most `most` messages
   * (`native/netlink/query.c`). Rejects with the kernel's errno.
   */
  queryNetlink(
    socket: number | object,
    request: Uint8Array,
    filter: Uint8Array,
    most: number,
  ): Promise<Uint8Array>;
  /**
   * Calls `onMessages` with notices of these groups that pass the filter, or with undefined where some are lost
   * (`native/netlink/watch.c`). Throws the system's error.
   */
  watchNetlink(
    protocol: number,
    groups: Int32Array,
    filter: Uint8Array,
    onMessages: (messages: Uint8Array | undefined) => void,
  ): object;
  /** Ends what `watchNetlink` returned. */
  unwatchNetlink(watch: object): void;
}

/** Beside the bundle, or where the install script puts it in a source tree. */
const PLACES = ['../native/init.node', '../../build/init.node'];

/** The addon, or why there is none: without it init takes more memory and gets no notices of the kernel. */
export function initAddon(): InitAddon | Error {
  const load = createRequire(import.meta.url);
  for (const place of PLACES) {
    try {
      return load(place) as InitAddon;
    } catch (error) {
      if (errnoOf(error) !== 'MODULE_NOT_FOUND') return new Error(messageOf(error));
    }
  }
  return new Error('it was not compiled (no C compiler at install)');
}
