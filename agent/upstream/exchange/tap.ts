/** Shows queries to upstreams to the plugin that wants them; without one an attempt costs one check. */
import { buildQuery } from '../../dns/build.ts';
import { wireOf } from './outcome.ts';
import type { Attempt } from './plan.ts';

/** `attempt` has ended: with `response`, or without one. One that no socket or connection took was not sent. */
export function tapAttempt({ pending, member }: Attempt, response: Uint8Array | undefined): void {
  const { tap } = pending.question;
  if (tap === undefined || pending.id === -1) return;
  tap({
    upstream: member.upstream.endpoint,
    protocol: wireOf(member, pending.transport),
    sentMs: pending.sentMs,
    query: () => buildQuery(pending),
    response,
  });
}
