/** /metrics of every address: concurrent requests share one rendering. */
import type { Clock } from '../../base/clock.ts';
import type { PacedWork } from '../../base/paced-work.ts';
import type { AdminHandler, MetricsPageOptions } from '../../query/services/admin.ts';
import type { MetricsText } from '../../query/services/metrics.ts';
import { Exposition } from '../metrics/exposition.ts';
import type { Source } from '../metrics/samples.ts';
import { wantsOpenMetrics } from './accept.ts';
import type { AdminRoute } from './admin.ts';
import { shared } from './shared.ts';

/** A page is reused for this long after it was rendered, milliseconds. */
export const FRESH_MS = 250;

/** The page with and without older names, each in one of two formats. */
type Page = Readonly<Record<'text' | 'openMetrics', () => Promise<MetricsText>>>;

/** All forms of the page. Each rendering is reused for `FRESH_MS`. */
export class MetricsPages {
  readonly #exposition: Exposition;
  readonly #current: Page;
  readonly #withOlder: Page;

  constructor(sources: readonly Source[], work: PacedWork, clock: Clock) {
    const exposition = new Exposition(sources, work);
    this.#exposition = exposition;
    const page = (isOlder: boolean): Page => ({
      text: shared(() => exposition.render(isOlder), clock, FRESH_MS),
      openMetrics: shared(() => exposition.renderOpenMetrics(isOlder), clock, FRESH_MS),
    });
    this.#current = page(false);
    this.#withOlder = page(true);
  }

  /**
   * Routes for `pages`, and for `extraAddress` if it is not one of them: it shows older names if any of `pages` does.
   * With `hasExemplars` clients get OpenMetrics that prefer it. Resolves when a page can be rendered.
   */
  async routes(
    pages: ReadonlyMap<string, MetricsPageOptions>,
    extraAddress: string | undefined,
    hasExemplars = false,
  ): Promise<AdminRoute[]> {
    const all = new Map(pages);
    if (extraAddress !== undefined && !pages.has(extraAddress))
      all.set(extraAddress, { isOlder: [...pages.values()].some(({ isOlder }) => isOlder) });
    if (all.size > 0) await this.#exposition.load();
    return [...all].map(([address, { isOlder }]) => ({
      ...{ address, path: '/metrics' },
      handler: this.#handler(isOlder, hasExemplars),
    }));
  }

  #handler(isOlder: boolean, hasExemplars: boolean): AdminHandler {
    const page = isOlder ? this.#withOlder : this.#current;
    return async (_params, _host, accept) => {
      const format = wantsOpenMetrics(accept, hasExemplars) ? 'openMetrics' : 'text';
      return { status: 200, ...(await page[format]()) };
    };
  }
}
