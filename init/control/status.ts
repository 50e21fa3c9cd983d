/** What init reports: to agents on the control socket, which export it as metrics, and to the log. */
import type { Clock, Timer } from '../../agent/base/clock.ts';
import type { InitMessage, InterceptionState } from '../../agent/base/control.ts';
import { messageOf } from '../../agent/base/errors.ts';
import type { Log } from '../log.ts';

type Status = Extract<InitMessage, { readonly type: 'status' }>;

/** How often the fallback's counters are read. */
const COUNT_INTERVAL_MS = 5_000;

/** Where a status comes from, and where it goes to. */
export interface StatusParts {
  readonly state: () => InterceptionState;
  /** The rest of a status, without the fallback's packets. */
  readonly facts: () => Omit<Status, 'type' | 'state' | 'fallback'> & { hasFallback: boolean };
  /** Packets that took the fallback. Rejects with `CommandError`. */
  readonly fallbackPackets: () => Promise<number>;
  readonly broadcast: (message: InitMessage) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes nothing on the node. `publish` does nothing where neither state nor status is new. */
export class StatusReport {
  readonly #parts: StatusParts;
  #packets = 0;
  #lastState: InterceptionState | undefined;
  #lastSent = '';
  #timer: Timer | undefined;

  constructor(parts: StatusParts) {
    this.#parts = parts;
  }

  /** The status now, with the packets of the last count. */
  message(): InitMessage {
    const { state, facts } = this.#parts;
    const { hasFallback, ...rest } = facts();
    return {
      ...{ type: 'status', state: state(), ...rest },
      fallback: { configured: hasFallback, packets: this.#packets },
    };
  }

  /** Logs another state, and sends agents what is new. */
  publish(): void {
    const { state, broadcast, log } = this.#parts;
    const now = state();
    if (now !== this.#lastState) log.info('interception', { state: now });
    this.#lastState = now;
    const message = this.message();
    const text = JSON.stringify(message);
    if (text !== this.#lastSent) broadcast(message);
    this.#lastSent = text;
  }

  /** From now on reads the fallback's counters regularly. */
  startCounting(): void {
    this.#timer = this.#parts.clock.every(COUNT_INTERVAL_MS, () => void this.#count());
  }

  /** Ends `startCounting`. */
  stopCounting(): void {
    this.#timer?.cancel();
  }

  async #count(): Promise<void> {
    const { fallbackPackets, log } = this.#parts;
    try {
      this.#packets = await fallbackPackets();
    } catch (error) {
      const fields = { event: 'counters-unread', error: messageOf(error) } as const;
      log.warn('cannot read the counters of the fallback', fields);
    }
    this.publish();
  }
}
