import type { Clock } from '../../base/clock.ts';
import { isSubdomain } from '../../dns/name.ts';
import type { Answer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import { classify, type ResponseClass } from './classify.ts';
import { answered, failed, type Outcome, type Selected } from './fields.ts';
import type { LineFormat } from './format.ts';
import type { Sample } from './sample.ts';

/** One name of one use of the directive. */
export interface LogRule {
  /** Lower-case wire form; matches the name itself and names below it. */
  readonly zone: Uint8Array;
  readonly format: LineFormat;
  /** Undefined for all. */
  readonly classes: ReadonlySet<ResponseClass> | undefined;
  /** Shared by all names of the use; undefined without `sample`. */
  readonly sample: Sample | undefined;
  /** Queries that take at least this long are logged in any case, milliseconds; undefined without `slow`. */
  readonly slowMs: number | undefined;
}

/** Only the first rule whose name matches decides, as in CoreDNS. Internal questions are not logged. */
export function logQueries(
  rules: readonly LogRule[],
  clock: Clock,
  writeLine: (line: string) => void,
): NonNullable<Plugin['handle']> {
  const log = new QueryLog(clock, writeLine);
  return (query, next) => {
    const rule = query.isInternal ? undefined : firstRule(rules, query);
    if (rule === undefined) return next(query);
    const { sample, slowMs } = rule;
    const isChosen = sample === undefined ? slowMs === undefined : sample.takes();
    if (!isChosen && slowMs === undefined) return next(query);
    return log.follow(rule, isChosen, query, next);
  };
}

/** Decides again when a query is answered: its class and its duration are known then. */
class QueryLog {
  readonly #clock: Clock;
  readonly #writeLine: (line: string) => void;

  constructor(clock: Clock, writeLine: (line: string) => void) {
    this.#clock = clock;
    this.#writeLine = writeLine;
  }

  /** Allocates nothing for an answer that comes at once and is not logged. */
  follow(rule: LogRule, isChosen: boolean, query: Query, next: Handler): Result {
    let result: Result;
    try {
      result = next(query);
    } catch (error) {
      this.#failed(rule, isChosen, query, error);
      throw error;
    }
    if (result instanceof Promise) return this.#await(rule, isChosen, query, result);
    this.#answered(rule, isChosen, query, result, false);
    return result;
  }

  /** Closures of its own, so that `follow` makes none. */
  #await(rule: LogRule, isChosen: boolean, query: Query, result: Promise<Answer>): Promise<Answer> {
    return result.then(
      (answer) => {
        this.#answered(rule, isChosen, query, answer, true);
        return answer;
      },
      (error: unknown) => {
        this.#failed(rule, isChosen, query, error);
        throw error;
      },
    );
  }

  #answered(rule: LogRule, isChosen: boolean, query: Query, answer: Answer, isLate: boolean): void {
    const durationMs = this.#clock.nowMs() - query.arrivedMs;
    const isSlow = rule.slowMs !== undefined && durationMs >= rule.slowMs;
    if (!isChosen && !isSlow) return;
    if (rule.classes !== undefined && !rule.classes.has(classify(answer))) return;
    const selected = selection(rule, durationMs, isSlow);
    this.#write(rule, query, answered(query, answer, isLate, selected));
  }

  #failed(rule: LogRule, isChosen: boolean, query: Query, error: unknown): void {
    const durationMs = this.#clock.nowMs() - query.arrivedMs;
    const isSlow = rule.slowMs !== undefined && durationMs >= rule.slowMs;
    if (!isChosen && !isSlow) return;
    if (rule.classes !== undefined && !rule.classes.has('error')) return;
    this.#write(rule, query, failed(query, error, selection(rule, durationMs, isSlow)));
  }

  #write(rule: LogRule, query: Query, outcome: Outcome): void {
    this.#writeLine(rule.format(query, outcome));
  }
}

/** All slow queries are logged, so that one of them stands for itself alone, also where it was in the sample. */
function selection({ sample }: LogRule, durationMs: number, isSlow: boolean): Selected {
  return { durationMs, isSlow, sampledOf: isSlow ? undefined : sample?.of };
}

function firstRule(rules: readonly LogRule[], query: Query): LogRule | undefined {
  for (const rule of rules) {
    // The root, as in most rules, matches without comparing names.
    if (rule.zone.length === 1 || isSubdomain(query.name, rule.zone)) return rule;
  }
  return undefined;
}
