import type { Clock } from '../../base/clock.ts';
import { DnsError, DropQuery } from '../../base/errors.ts';
import { RCODE } from '../../dns/iana.ts';
import { isSubdomain } from '../../dns/name.ts';
import { after, type Plugin } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import { classify, type ResponseClass } from './classify.ts';
import { answered, dropped, failed, type Outcome } from './fields.ts';
import type { LineFormat } from './format.ts';

/** One name of one use of the directive. */
export interface LogRule {
  /** Lower-case wire form; matches the name itself and names below it. */
  readonly zone: Uint8Array;
  readonly format: LineFormat;
  /** Undefined for all. */
  readonly classes: ReadonlySet<ResponseClass> | undefined;
}

/** Only the first rule whose name matches decides, as in CoreDNS. Internal questions are not logged. */
export function logQueries(
  rules: readonly LogRule[],
  clock: Clock,
  writeLine: (line: string) => void,
): NonNullable<Plugin['handle']> {
  const write = (rule: LogRule, query: Query, outcome: Outcome): void =>
    writeLine(`[INFO] ${rule.format(query, outcome)}`);

  return (query, next) => {
    const rule = query.isInternal ? undefined : firstRule(rules, query);
    if (rule === undefined) return next(query);
    const { classes } = rule;
    return after(
      next,
      query,
      (answer) => {
        if (classes === undefined || classes.has(classify(answer))) {
          write(rule, query, answered(answer, clock.nowMs() - query.arrivedMs));
        }
        return answer;
      },
      (error) => {
        if (classes === undefined || classes.has('error')) {
          const durationMs = clock.nowMs() - query.arrivedMs;
          write(rule, query, outcomeOf(query, error, durationMs));
        }
        throw error;
      },
    );
  };
}

function outcomeOf(query: Query, error: unknown, durationMs: number): Outcome {
  if (error instanceof DropQuery) return dropped(durationMs);
  const rcode = error instanceof DnsError ? error.rcode : RCODE.SERVFAIL;
  return failed(query, rcode, durationMs);
}

function firstRule(rules: readonly LogRule[], query: Query): LogRule | undefined {
  for (const rule of rules) {
    // The root, as in most rules, matches without comparing names.
    if (rule.zone.length === 1 || isSubdomain(query.name, rule.zone)) return rule;
  }
  return undefined;
}
