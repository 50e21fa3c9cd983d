/** The status page: what `nodens top` shows, with charts of the last hour, for a browser. Read only. */
import { isIP } from 'node:net';
import type { Clock, Timer } from '../../base/clock.ts';
import type { PacedWork } from '../../base/paced-work.ts';
import type { AdminHandler, AdminResponse } from '../../query/services/admin.ts';
import type { Status } from '../status.ts';
import { QuerySample, type Taken } from '../watch/query-sample.ts';
import type { QueryWatch } from '../watch/query-watch.ts';
import { HEADERS } from './assets.ts';
import { between, Minutes, type Moment } from './minutes.ts';
import { type Heavy, type Picture, pageSteps } from './view.ts';

/** What the page needs of the process. */
export interface StatusPageParts {
  readonly clock: Clock;
  readonly work: PacedWork;
  readonly status: Status;
  readonly queries: QueryWatch;
  /** Name of this node, if known. */
  readonly nodeName: string | undefined;
  /** Open HTTP endpoints of this agent as URLs. */
  readonly endpoints: () => readonly string[];
}

/** One page at one address, as `AdminServer` takes it. */
interface Route {
  readonly address: string;
  readonly path: string;
  readonly handler: AdminHandler;
}

/** Key of making pages in `PacedWork`. */
const PACE_KEY = 'status page';
/** Pages are made anew at most so often, however many ask for one. */
export const FRESH_MS = 1_000;
/** Queries are looked at for this long after a page was asked for: the page comes back every 5 s while it is shown. */
export const LOOK_MS = 15_000;
/** Rates are those since the page before, if it is not older. */
const RATES_OF_MS = 60_000;
/** Percentiles of less time have too few answers. */
const TIMES_OF_MS = 30_000;

/** One for the process. Nothing of it runs while no configuration has the directive. */
export class StatusPage {
  readonly #parts: StatusPageParts;
  readonly #minutes: Minutes;
  #before: Moment | undefined;
  /** One object for all who ask for it: it is then compressed once (`observe/admin/compression.ts`). */
  #made: { readonly atMs: number; readonly body: Promise<readonly Uint8Array[]> } | undefined;
  #look: { readonly sample: QuerySample; readonly stop: () => void; sinceMs: number } | undefined;
  #lookEnd: Timer | undefined;

  constructor(parts: StatusPageParts) {
    this.#parts = parts;
    this.#minutes = new Minutes(parts.clock, parts.status);
  }

  /** The page at each of `addresses`; without one its samples end. */
  routes(addresses: ReadonlySet<string>): Route[] {
    if (addresses.size > 0) this.#minutes.start();
    else this.close();
    const handler: AdminHandler = (_params, host) => this.#answer(host);
    return [...addresses].map((address) => ({ address, path: '/', handler }));
  }

  /** Ends timers and looks. */
  close(): void {
    this.#minutes.stop();
    this.#stopLooking();
    this.#before = undefined;
    this.#made = undefined;
  }

  async #answer(host: string | undefined): Promise<AdminResponse> {
    if (!isOwnHost(host)) return REFUSED;
    const nowMs = this.#parts.clock.nowMs();
    if (this.#made === undefined || nowMs - this.#made.atMs >= FRESH_MS)
      this.#made = { atMs: nowMs, body: this.#make(nowMs) };
    const body = await this.#made.body;
    return { status: 200, contentType: 'text/html; charset=utf-8', body, headers: HEADERS };
  }

  /** In short steps, however many upstreams there are. */
  async #make(nowMs: number): Promise<readonly Uint8Array[]> {
    const { status, nodeName, endpoints, work } = this.#parts;
    // Before any pause, in which the page may be closed.
    const heavy = this.#heavy(nowMs);
    const line = await status.line();
    const now = this.#minutes.moment(line);
    const before = this.#before;
    this.#before = now;
    const isRecent = before !== undefined && nowMs - before.atMs <= RATES_OF_MS;
    const ratesSince = isRecent ? before : (this.#minutes.before(FRESH_MS) ?? now);
    const timesSince = this.#minutes.before(TIMES_OF_MS) ?? now;
    const picture: Picture = {
      ...{ status: line, nodeName, endpoints: endpoints() },
      rates: between(ratesSince, now),
      times: between(timesSince, now),
      hour: this.#minutes.intervals(now),
      heavy,
    };
    const page = await work.finish(PACE_KEY, pageSteps(picture));
    return work.run(PACE_KEY, () => [Buffer.from(page)]);
  }

  /** Undefined for the first page: the look at the queries begins with it. */
  #heavy(nowMs: number): Heavy | undefined {
    this.#lookEnd?.cancel();
    this.#lookEnd = this.#parts.clock.after(LOOK_MS, () => this.#stopLooking());
    const look = this.#look;
    if (look === undefined) {
      const sample = new QuerySample();
      this.#look = { sample, stop: this.#parts.queries.add(sample), sinceMs: nowMs };
      return undefined;
    }
    const elapsedMs = nowMs - look.sinceMs;
    look.sinceMs = nowMs;
    const taken: Taken = look.sample.take(elapsedMs);
    return { ...taken, seconds: Math.max(0.001, elapsedMs / 1_000) };
  }

  #stopLooking(): void {
    this.#lookEnd?.cancel();
    this.#look?.stop();
    this.#look = undefined;
  }
}

const REFUSED: AdminResponse = {
  status: 421,
  contentType: 'text/plain; charset=utf-8',
  body: 'Ask for an IP address or localhost. Under a name this could be a page of another site that reads this one.\n',
};

/**
 * Whether `host` is an address, and no name: a site may have its own name resolve to this address, so that its pages may read
 * this one (DNS rebinding). A program without a Host header is no browser.
 */
function isOwnHost(host = 'localhost'): boolean {
  const address = host.replace(/:\d*$/, '');
  return isIP(address) === 4 || /^\[[0-9a-f:.]+\]$/i.test(address) || address === 'localhost';
}
