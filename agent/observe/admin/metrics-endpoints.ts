/** /metrics of every address: concurrent requests share one rendering. */
import type { Clock } from '../../base/clock.ts';
import type { PacedWork } from '../../base/paced-work.ts';
import type { AdminHandler, MetricsPageOptions } from '../../query/services/admin.ts';
import type { MetricsText } from '../../query/services/metrics.ts';
import { Exposition } from '../metrics/exposition.ts';
import type { Source } from '../metrics/samples.ts';
import type { AdminRoute } from './admin.ts';
import { shared } from './shared.ts';

/** A page is reused for this long after it was rendered, milliseconds. */
export const FRESH_MS = 250;

/** The two forms of the page, with and without older names. Each rendering is reused for `FRESH_MS`. */
export class MetricsPages {
  readonly #exposition: Exposition;
  readonly #current: () => Promise<MetricsText>;
  readonly #withOlder: () => Promise<MetricsText>;

  constructor(sources: readonly Source[], work: PacedWork, clock: Clock) {
    const exposition = new Exposition(sources, work);
    this.#exposition = exposition;
    this.#current = shared(() => exposition.render(false), clock, FRESH_MS);
    this.#withOlder = shared(() => exposition.render(true), clock, FRESH_MS);
  }

  /**
   * Routes for `pages`, and for `extraAddress` if it is not one of them: it shows older names if any of `pages` does.
   * Resolves when a page can be rendered without delaying DNS.
   */
  async routes(
    pages: ReadonlyMap<string, MetricsPageOptions>,
    extraAddress: string | undefined,
  ): Promise<AdminRoute[]> {
    const all = new Map(pages);
    if (extraAddress !== undefined && !pages.has(extraAddress))
      all.set(extraAddress, { isOlder: [...pages.values()].some(({ isOlder }) => isOlder) });
    if (all.size > 0) await this.#exposition.load();
    return [...all].map(([address, { isOlder }]) => ({
      ...{ address, path: '/metrics' },
      handler: this.#handler(isOlder),
    }));
  }

  #handler(isOlder: boolean): AdminHandler {
    const text = isOlder ? this.#withOlder : this.#current;
    return async () => ({ status: 200, ...(await text()) });
  }
}
