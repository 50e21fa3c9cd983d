/** What happened to one query: the steps of `nodens query -trace`. */

import type { Clock } from '../base/clock.ts';
import { DnsError, messageOf } from '../base/errors.ts';
import type { ProcessCache, StoredForQuestion } from '../cache/cache.ts';
import {
  keyTexts,
  kindOf,
  type StoredEntry,
  stateOf,
  usableUntilMs,
} from '../cache/stored-entry.ts';
import { rcodeName, typeName } from '../dns/iana.ts';
import { byteKey } from '../dns/name.ts';
import type { Answer } from '../query/answer.ts';
import type { Handle, Handler, Result } from '../query/handler.ts';
import type { Query } from '../query/query.ts';
import type { Route } from '../query/routing.ts';
import type { SeenAttempt } from '../upstream/exchange/attempt-watch.ts';
import type { TraceStep } from './protocol.ts';

/** The plugin whose stored entries are looked at before and after. */
const CACHE = 'cache';

/** Records the steps of one query, and looks into the cache of its block before and after. */
export class Trace {
  readonly steps: TraceStep[] = [];
  readonly #clock: Clock;
  readonly #cache: Pick<ProcessCache, 'peek'>;
  readonly #startMs: number;
  /** Questions that plugins have seen; a plugin may change the name. */
  readonly #questions = new Set<string>();

  constructor(clock: Clock, cache: Pick<ProcessCache, 'peek'>) {
    this.#clock = clock;
    this.#cache = cache;
    this.#startMs = clock.nowMs();
  }

  /** Adds a step that happens now. */
  add(step: string, text: string): void {
    const atMs = this.#clock.nowMs() - this.#startMs;
    this.steps.push({ line: 'step', atMs: Math.round(atMs * 1_000) / 1_000, step, text });
  }

  /** Which block was chosen, and why. */
  routed(route: Route | undefined, listener: string): void {
    if (route === undefined) {
      this.add('block', `no zone of ${listener} has this name: REFUSED`);
      return;
    }
    const { block, zone } = route;
    const view = block?.view ? `, view ${block.view} accepts the client` : '';
    const where = block === undefined ? '' : ` (${block.place.file}:${block.place.line})`;
    this.add('block', `${zone}${where}: the longest zone of ${listener} with this name${view}`);
    this.add('chain', block?.plugins.join(' ') ?? '');
  }

  /** The route's chain, every plugin of which reports here. */
  chainOf({ block, handler }: Route): Handler {
    if (block === undefined) return handler;
    return block.wrapped((name, handle) => this.#wrapped(name, handle, block.id));
  }

  /** Whether a plugin of the chain has seen the question of an attempt: attempts carry no mark of their query. */
  isAbout({ question }: SeenAttempt): boolean {
    return this.#questions.has(questionKey(question));
  }

  /** An attempt of an exchange for the question that is traced. */
  attempted({ upstream, transport, isHedge, hasEdns, durationMs, ...outcome }: SeenAttempt): void {
    const how = [transport, ...(isHedge ? ['hedge'] : []), ...(hasEdns ? [] : ['without EDNS'])];
    const result =
      outcome.rcode === undefined ? `no reply: ${outcome.failure}` : rcodeName(outcome.rcode);
    this.add('upstream', `${upstream} over ${how.join(', ')}: ${result} after ${ms(durationMs)}`);
  }

  #wrapped(name: string, handle: Handle, blockId: number): Handle {
    return (query, next) => {
      this.#questions.add(questionKey(query));
      const before = name === CACHE ? this.#cache.peek(query, blockId) : undefined;
      let asked: Query | undefined;
      const passOn: Handler = (nextQuery) => {
        // The look at the cache comes before what happens below it.
        if (asked === undefined && before !== undefined) this.#verdict(before, 'asks');
        asked ??= nextQuery;
        return next(nextQuery);
      };
      const finish = (): void => {
        if (before !== undefined) this.#cached(query, blockId, before, asked !== undefined);
      };
      return this.#watched(name, query, () => handle(query, passOn), {
        finish,
        wasAsked: () => asked,
      });
    };
  }

  #watched(
    name: string,
    query: Query,
    run: () => Result,
    { finish, wasAsked }: { finish: () => void; wasAsked: () => Query | undefined },
  ): Result {
    const done = (answer: Answer): Answer => {
      finish();
      this.#answered(name, query, wasAsked(), answer);
      return answer;
    };
    const failed = (error: unknown): never => {
      finish();
      if (wasAsked() === undefined) this.add(name, `fails: ${failureText(error)}`);
      throw error;
    };
    try {
      const result = run();
      return result instanceof Promise ? result.then(done, failed) : done(result);
    } catch (error) {
      return failed(error);
    }
  }

  /** A plugin that only passes a query on is not worth a step. */
  #answered(name: string, query: Query, asked: Query | undefined, answer: Answer): void {
    if (asked === undefined) {
      if (name !== CACHE) this.add(name, `answers ${rcodeName(answer.rcode)}`);
    } else if (asked !== query) {
      this.add(
        name,
        `asked ${asked.nameText} ${typeName(asked.type)} instead, and fitted the answer`,
      );
    }
  }

  #cached(query: Query, blockId: number, before: StoredForQuestion, wasAsked: boolean): void {
    if (!wasAsked) this.#verdict(before, 'answers');
    const after = this.#cache.peek(query, blockId);
    for (const kind of ['answer', 'failure'] as const) {
      const stored = after[kind];
      if (stored !== undefined && stored.entry !== before[kind]?.entry)
        this.add(CACHE, `stored: ${this.#text(stored)}`);
    }
    const isUnchanged =
      after.answer?.entry === before.answer?.entry &&
      after.failure?.entry === before.failure?.entry;
    if (!wasAsked || !isUnchanged) return;
    const isGiven = before.answer !== undefined;
    this.add(CACHE, `nothing new is stored${isGiven ? ' yet: gives what it has' : ''}`);
  }

  #verdict({ answer, failure, cut }: StoredForQuestion, what: 'answers' | 'asks'): void {
    if (what === 'asks') {
      const has = answer === undefined ? 'miss' : this.#text(answer);
      this.add(CACHE, `${has}: asks the plugins below`);
      return;
    }
    const nowMs = this.#clock.nowMs();
    const isFresh = (stored: StoredEntry | undefined): stored is StoredEntry =>
      stored !== undefined && stateOf(stored, nowMs) === 'fresh';
    const used = [answer, cut, failure].find(isFresh) ?? answer;
    const text =
      used === undefined ? 'joins a query that is in flight already' : `hit: ${this.#text(used)}`;
    this.add(CACHE, text);
  }

  #text(stored: StoredEntry): string {
    const { entry } = stored;
    const nowMs = this.#clock.nowMs();
    const { name, rcode } = keyTexts(entry);
    const kind = kindOf(entry);
    const { bornMs } = entry.answer;
    const leftMs = entry.expiresMs - nowMs;
    const usableMs = usableUntilMs(entry) - nowMs;
    return [
      `${stateOf(stored, nowMs)} ${kind === 'cut' ? `denial of all names below ${name}` : kind} ${rcode}`,
      leftMs > 0 ? `TTL left ${seconds(leftMs)}` : `expired ${seconds(-leftMs)} ago`,
      ...(usableMs > Math.max(0, leftMs) ? [`of use in an outage for ${seconds(usableMs)}`] : []),
      ...(bornMs === undefined ? [] : [`age ${seconds(nowMs - bornMs)}`]),
    ].join(', ');
  }
}

function questionKey({ name, type }: { readonly name: Uint8Array; readonly type: number }): string {
  return `${type} ${byteKey(name)}`;
}

function failureText(error: unknown): string {
  return error instanceof DnsError
    ? `${rcodeName(error.rcode)}, ${error.message}`
    : messageOf(error);
}

function seconds(durationMs: number): string {
  return `${Math.round(durationMs / 1_000)} s`;
}

function ms(durationMs: number): string {
  return `${durationMs.toFixed(durationMs < 10 ? 2 : 0)} ms`;
}
