import { DnsError, messageOf } from '../../base/errors.ts';
import { ednsOption } from '../../dns/edns.ts';
import { EDE, RCODE } from '../../dns/iana.ts';
import { type Answer, madeAnswer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { after } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import type { Services } from '../../query/services/services.ts';
import { Draft, type Undo } from './draft.ts';
import { rewritten } from './response.ts';
import type { OrderedRule } from './rules.ts';

/** Applies the rules in file order to the query, and their changes to the response in reverse order. */
export function rewriteHandler(
  rules: readonly OrderedRule[],
  services: Pick<Services, 'resolve' | 'clock'>,
): (query: Query, next: Handler) => Result {
  return (query, next) => {
    const draft = new Draft(query);
    const undos = applied(rules, draft);
    if (undos.length === 0) return next(query);
    const below = draft.derived(ednsOption);
    return after(
      next,
      below,
      (answer) => rewritten(query, below, answer, undos, services),
      (error) => failed(query, error, undos),
    );
  };
}

function applied(rules: readonly OrderedRule[], draft: Draft): Undo[] {
  const undos: Undo[] = [];
  for (const { apply, stops } of rules) {
    const undo = tried(apply, draft);
    if (undo === undefined) continue;
    undos.unshift(undo);
    if (stops) break;
  }
  return undos;
}

function tried(apply: OrderedRule['apply'], draft: Draft): Undo | undefined {
  try {
    return apply(draft);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const text = `rewriting makes an impossible name: ${messageOf(error)}`;
    throw new DnsError(RCODE.SERVFAIL, text, { code: EDE.OTHER, text });
  }
}

/** An error that matches an rcode rule becomes an answer without records. */
function failed(query: Query, error: unknown, undos: readonly Undo[]): Answer {
  if (!(error instanceof DnsError)) throw error;
  const rcode = rcodeAfter(error.rcode, undos);
  if (rcode === error.rcode) throw error;
  const { extended } = error;
  const options = { shareable: false, ...(extended === undefined ? {} : { extended }) };
  return madeAnswer(query, { rcode, flags: 0 }, 'rewrite', options);
}

function rcodeAfter(rcode: number, undos: readonly Undo[]): number {
  return undos.reduce((current, undo) => undo.rcode?.(current) ?? current, rcode);
}
