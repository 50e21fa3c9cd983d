/** The attempts of one exchange that are under way. */
import type { Flight } from '../flight.ts';
import type { Attempt } from './plan.ts';

export type Attempts = readonly Attempt[];
export const NO_ATTEMPTS: Attempts = [];

/** Most exchanges are one attempt: a list made with it has no room to spare. */
export function withAttempt(attempts: Attempts, attempt: Attempt): Attempts {
  return attempts.length === 0 ? [attempt] : [...attempts, attempt];
}

export function withoutAttempt(attempts: Attempts, attempt: Attempt | undefined): Attempts {
  if (attempts.length === 1 && attempt !== undefined) return NO_ATTEMPTS;
  return attempts.filter((each) => each !== attempt);
}

export function attemptOf(attempts: Attempts, flight: Flight): Attempt | undefined {
  return attempts.find((each) => each.flight === flight);
}

/** Gives them up; hedges among them have lost. */
export function abandonAll(attempts: Attempts): void {
  for (const { flight, member } of attempts) {
    if (flight.purpose === 'hedge') member.target.meters.hedged('lost');
    flight.abandon();
  }
}
