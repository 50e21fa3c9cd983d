import { FLAG, flagsOf, putU16 } from '../../dns/header.ts';
import type { Answer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { after } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';

/** FLAG bits to set and clear. */
export interface FlagChange {
  readonly set: number;
  readonly clear: number;
}

/** RD in a response repeats the query's (RFC 1035 §4.1.1), so it is changed in the query. */
export function headerHandler(
  asked: FlagChange,
  answered: FlagChange,
): (query: Query, next: Handler) => Result {
  return (query, next) => {
    const { head } = query;
    head.flags = apply(head.flags, asked);
    return after(next, query, (answer) => {
      head.flags = apply(head.flags, {
        set: answered.set & FLAG.RD,
        clear: answered.clear & FLAG.RD,
      });
      return withFlags(answer, answered);
    });
  };
}

function apply(flags: number, { set, clear }: FlagChange): number {
  return (flags | set) & ~clear;
}

function withFlags(answer: Answer, change: FlagChange): Answer {
  if (answer.wire.length === 0) return answer;
  const before = flagsOf(answer.wire);
  const flags = apply(before, change);
  if (flags === before) return answer;
  const wire = Buffer.from(answer.wire);
  putU16(wire, 2, flags);
  return answer.with({ wire });
}
