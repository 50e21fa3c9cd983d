/** How many of its own questions a block's probes may ask. */
import { ClientRates } from '../../base/clients/client-rates.ts';
import { OWN_KEY } from '../../base/clients/memory-ledger.ts';
import type { Clock } from '../../base/clock.ts';
import { RateLimit } from '../../base/rate-limit.ts';

const PROBES_PER_SECOND = 50;
const PROBE_BURST = 100;
/** Of these, what the questions of one client may cause: the names of one pod must not take the probes of others. */
const PROBES_OF_CLIENT_PER_SECOND = 10;
const PROBE_BURST_OF_CLIENT = 30;
/** How often a name that a probe's denial covers is asked for itself. */
const CHECKS_PER_SECOND = 1;

/** One for each block and configuration. */
export class ProbeRates {
  readonly #all: RateLimit;
  readonly #clients: ClientRates;
  readonly #checks: RateLimit;

  constructor(clock: Clock) {
    this.#all = new RateLimit(clock, PROBES_PER_SECOND, PROBE_BURST);
    this.#clients = new ClientRates(clock, PROBES_OF_CLIENT_PER_SECOND, PROBE_BURST_OF_CLIENT);
    this.#checks = new RateLimit(clock, CHECKS_PER_SECOND, CHECKS_PER_SECOND);
  }

  /** Whether a question of `client` (`clientKey`) may cause a probe now; counts it if so. */
  takeProbe(client: string): boolean {
    if (!this.#all.hasLeft()) return false;
    if (client !== OWN_KEY && !this.#clients.take(client)) return false;
    return this.#all.take();
  }

  /** Whether a name may be asked for itself now; counts it if so. */
  takeCheck(): boolean {
    return this.#checks.take();
  }
}
