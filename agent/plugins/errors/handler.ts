import { formatEndpoint } from '../../base/address.ts';
import { OWN_KEY } from '../../base/clients/memory-ledger.ts';
import type { Clock } from '../../base/clock.ts';
import { DnsError, DropQuery, GaveWayError, messageOf } from '../../base/errors.ts';
import { RCODE, rcodeName, typeName } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import type { Result } from '../../query/handler.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import {
  DEDUPLICATE_BY,
  type LogFields,
  type Logger,
  type ProblemFields,
} from '../../query/services/log.ts';
import type { Consolidation } from './consolidate.ts';

/** Settings of the directive, and where errors are logged. */
export interface ErrorsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly stacktrace: boolean;
  /** The first matching pattern counts an error. */
  readonly consolidations: readonly Consolidation[];
}

/** Logs the errors of later plugins, or counts them in a consolidation, and throws them again. */
export function reportErrors(options: ErrorsOptions): NonNullable<Plugin['handle']> {
  const reported = (query: Query, error: unknown): never => {
    report(options, query, error);
    throw error;
  };
  const caught = (query: Query, result: Promise<Answer>): Promise<Answer> =>
    result.catch((error: unknown) => reported(query, error));
  return (query, next) => {
    let result: Result;
    try {
      result = next(query);
    } catch (error) {
      return reported(query, error);
    }
    // Most answers are synchronous: no promise is created for them, and no context of a closure.
    return result instanceof Promise ? caught(query, result) : result;
  };
}

function report(options: ErrorsOptions, query: Query, error: unknown): void {
  // A query that is dropped on purpose is not an error; a client that gives way is reported as limited, with its remedy.
  if (error instanceof DropQuery || error instanceof GaveWayError) return;
  const rcode = error instanceof DnsError ? error.rcode : RCODE.SERVFAIL;
  const reason = messageOf(error);
  const isOwn = query.isInternal && query.clientKey === OWN_KEY;
  const consolidation = isOwn
    ? undefined
    : options.consolidations.find((rule) => rule.matches(reason));
  if (consolidation?.add() === false) return;
  const { log, clock, stacktrace } = options;
  const trace = stacktrace && error instanceof Error ? { stack: error.stack } : {};
  const fields = { ...describe(query, error, rcode, clock.nowMs()), ...trace };
  const message = `plugin/errors: ${rcode} ${query.nameText} ${typeName(query.type)}: ${reason}`;
  // The agent's own questions (`loop`, the self-test at the start) may fail; their callers report the result.
  log[isOwn ? 'debug' : (consolidation?.level ?? 'error')](fields, message);
}

/** Client, question and cause. Repeats of one upstream's failure in one phase are deduplicated. */
function describe(query: Query, error: unknown, rcode: number, nowMs: number): ProblemFields {
  const source = sourceOf(error);
  const where = `${source.upstream ?? ''} ${source.phase ?? messageOf(error)}`;
  return {
    event: 'query-failed',
    [DEDUPLICATE_BY]: `query-failed ${rcode} ${where}`,
    client: query.isInternal ? 'internal' : formatEndpoint(query.client),
    question: `${query.nameText} ${typeName(query.type)}`,
    rcode: rcodeName(rcode),
    transport: query.transport,
    ...source,
    ms: Math.round((nowMs - query.arrivedMs) * 1_000) / 1_000,
  };
}

const SOURCE_FIELDS = ['upstream', 'phase', 'errno'] as const;
/** Errors wrap errors; a longer chain is circular. */
const MAX_CAUSES = 8;

/** What the error or its causes know about the upstream; the innermost is the most precise. */
function sourceOf(error: unknown): LogFields {
  const found: Record<string, string> = {};
  let at: unknown = error;
  for (let depth = 0; at instanceof Error && depth < MAX_CAUSES; depth++) {
    for (const field of SOURCE_FIELDS) {
      const value = (at as Error & Readonly<Record<string, unknown>>)[field];
      if (typeof value === 'string') found[field] = value;
    }
    at = at.cause;
  }
  return found;
}
