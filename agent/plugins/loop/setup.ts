/** `loop`: detects whether forwarded queries come back, and stops forwarding while they do. */
import type { Timer } from '../../base/clock.ts';
import { ConfigError, messageOf } from '../../base/errors.ts';
import { bare, onlyUse } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import { RCODE, TYPE } from '../../dns/iana.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { type LoopState, loopHandler, type Probe, quarantineOf } from './handler.ts';

/** Time until routes and listeners are in place, so that the first check takes the path of every query. */
const FIRST_CHECK_MS = 200;
/** Interval of retries if no upstream answered the check. */
const RETRY_MS = 1_000;
/** After this long without an answer from upstream the check ends: a loop would have been detected. */
const RETRY_FOR_MS = 30_000;
/** How often a looping block is checked again. */
const RECHECK_MS = 30_000;

/** Checks the first zone of the block, from `start` on. Throws ConfigError for a second use and without a zone. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  bare(onlyUse(directive));
  const [zone] = services.block.zones;
  if (zone === undefined) throw new ConfigError(directive.place, 'loop needs a zone to check');
  const guard = new Guard(zone, services);
  return {
    name: 'loop',
    handle: loopHandler(guard, quarantineOf(zone)),
    start: () => guard.start(),
    stop: () => guard.stop(),
  };
}

class Guard implements LoopState {
  probe: Probe | undefined;
  isLooping = false;
  readonly #zone: string;
  readonly #services: Services;
  #hasReturned = false;
  #retryUntilMs = 0;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(zone: string, services: Services) {
    this.#zone = zone;
    this.#services = services;
  }

  start(): void {
    const { clock, metrics } = this.#services;
    // Replaces the gauge of the old configuration, which may stop later than this one starts.
    metrics.gaugeFrom('nodens_loop_detected', { zone: this.#zone }, () => Number(this.isLooping));
    this.#retryUntilMs = clock.nowMs() + RETRY_FOR_MS;
    this.#timer = clock.after(FIRST_CHECK_MS, () => this.#check());
  }

  stop(): void {
    this.#isStopped = true;
    this.isLooping = false;
    this.probe = undefined;
    this.#timer?.cancel();
  }

  readonly onReturn = (): void => {
    this.#hasReturned = true;
  };

  #check(): void {
    const { block, resolve } = this.#services;
    const [server] = block.servers;
    if (server === undefined) return;
    this.#hasReturned = false;
    this.probe = { ask: this.#randomName(), send: this.#randomName() };
    const question = { name: this.probe.ask, type: TYPE.HINFO, dnssecOk: false, server };
    resolve({ ...question, checkingDisabled: false }).then(
      ({ rcode, extended }) =>
        this.#judge(rcode === RCODE.SERVFAIL ? (extended?.text ?? 'SERVFAIL') : undefined),
      (error: unknown) => this.#judge(messageOf(error)),
    );
  }

  /** `failure` says why no upstream answered, if none did. */
  #judge(failure: string | undefined): void {
    if (this.#isStopped) return;
    this.probe = undefined;
    const { clock } = this.#services;
    if (this.#hasReturned) {
      this.#quarantine();
      this.#timer = clock.after(RECHECK_MS, () => this.#check());
    } else if (this.isLooping) {
      this.#lift();
    } else if (failure !== undefined && clock.nowMs() < this.#retryUntilMs) {
      this.#timer = clock.after(RETRY_MS, () => this.#check());
    } else if (failure !== undefined) {
      const text = `no upstream answered the loop check of ${this.#zone}: ${failure}`;
      this.#services.log.warn({ event: 'loop-check', zone: this.#zone }, text);
    }
  }

  #quarantine(): void {
    if (this.isLooping) return;
    this.isLooping = true;
    const text = `forwarding loop: queries of ${this.#zone} come back to nodens; the zone gets SERVFAIL meanwhile`;
    const recheckSeconds = RECHECK_MS / 1_000;
    this.#services.log.error({ event: 'forwarding-loop', zone: this.#zone, recheckSeconds }, text);
  }

  #lift(): void {
    this.isLooping = false;
    this.#services.log.info({ zone: this.#zone }, `forwarding loop of ${this.#zone} is gone`);
  }

  #randomName(): Uint8Array {
    const { random } = this.#services;
    const label = (): string => String(Math.floor(random() * Number.MAX_SAFE_INTEGER));
    return nameFromText(`${label()}.${label()}.${this.#zone === '.' ? '' : this.#zone}`);
  }
}
