import { RCODE } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { after } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import type { Policy } from './policies.ts';
import { findRuns, type Run } from './runs.ts';

/**
 * Reorders the records of each address RRset in a copy of the answer; other answers are passed on unchanged. The order
 * within an RRset has no meaning (RFC 2181 §5), so signatures stay valid.
 */
export function balance(policy: Policy): (query: Query, next: Handler) => Result {
  const reorder = (answer: Answer): Answer => {
    if (answer.rcode !== RCODE.NOERROR) return answer;
    // A single record has no order.
    if (answer.ttlOffsets.length < 2) return answer;
    const before = answer.wire;
    const runs = findRuns(before, answer.ttlOffsets);
    if (runs.length === 0) return answer;
    const wire = Buffer.from(before);
    for (const run of runs) moveRecords(before, wire, run, policy);
    return answer.with({ wire });
  };
  return (query, next) => after(next, query, reorder);
}

function moveRecords(from: Buffer, to: Buffer, run: Run, policy: Policy): void {
  const { offsets, bytes } = run;
  const order = offsets.map((_, index) => index);
  policy(order, from, run);
  for (const [place, index] of order.entries()) {
    const source = offsets[index] as number;
    from.copy(to, offsets[place], source, source + bytes);
  }
}
