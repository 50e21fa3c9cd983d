/**
 * A netlink socket that owns tables (flag `owner`, Linux 5.12): no other process can change them, and the kernel drops them
 * when the socket is closed, so also with init, however init ends.
 */
import { messageOf } from '../../../agent/base/errors.ts';
import { filterBytes } from '../../netlink/message.ts';
import { PROTOCOL } from '../../netlink/socket.ts';
import type { InitAddon } from '../../node/addon.ts';
import { CommandError } from '../../node/exec.ts';
import { type Change, transactionOf } from './bytes/transaction.ts';
import type { TableOwner } from './owner-process.ts';

type OwnerAddon = Pick<InitAddon, 'openNetlink' | 'closeNetlink' | 'queryNetlink'>;

/** No message of an answer is looked at: the kernel says that it is done, or why not. */
const NOTHING = filterBytes([{ type: 0xffff, needle: new Uint8Array(0) }]);

/** `TableOwner` by init's own socket. It cannot be lost without init. */
export class NetlinkOwner implements TableOwner {
  readonly #addon: OwnerAddon;
  #socket: object | undefined;
  /** Resolves when the transactions so far, and the closes, are over. */
  #work: Promise<unknown> = Promise.resolve();
  #drops = 0;

  constructor(addon: OwnerAddon) {
    this.#addon = addon;
  }

  execute(_line: string, change: Change): Promise<void> {
    const drops = this.#drops;
    const done = this.#work.then(() => this.#execute(change, drops));
    this.#work = done.catch(() => undefined);
    return done;
  }

  drop(): Promise<void> {
    this.#drops++;
    // A transaction that runs ends first: it is not cancelled, and takes milliseconds.
    const closed = this.#work.then(() => this.#close());
    this.#work = closed;
    return closed;
  }

  /** A transaction from before a drop is not for the socket after it. */
  async #execute(change: Change, drops: number): Promise<void> {
    try {
      if (drops !== this.#drops) throw new Error('dropped');
      this.#socket ??= this.#addon.openNetlink(PROTOCOL.netfilter);
      await this.#addon.queryNetlink(this.#socket, transactionOf([change]), NOTHING, 0);
    } catch (error) {
      throw new CommandError('netlink: owned table', undefined, messageOf(error));
    }
  }

  async #close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) await this.#addon.closeNetlink(socket);
  }
}
