/** An agent that hung has a name for it, whichever server answers in its place, and an end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agents } from '../../../../init/doctor/checks-answers.ts';
import { HEALTHY, LOCAL, local } from './healthy.ts';

function judged(replies: typeof HEALTHY.local, untilTrustedMs: number | undefined) {
  const init = { value: { state: 'withdrawn', untilTrustedMs } };
  const { verdict, message } = agents({ ...HEALTHY, local: replies, init });
  return `${verdict}: ${message}`;
}

describe('an agent that hung', () => {
  it('is named while it does not answer', () => {
    const silent = local({ error: 'timeout' }, LOCAL);
    assert.match(
      judged(silent, 41_200),
      /^fail: hangs: .*; init has withdrawn .* again in 42 s at the earliest$/,
    );
  });

  it('is named while kube-dns answers by the fallback', () => {
    const others = local({ rcode: 5, text: undefined, ms: 1 }, LOCAL);
    assert.match(
      judged(others, 5_000),
      /^fail: hung, and does not answer everywhere.*again in 5 s/,
    );
  });

  it('is a warning once it answers again, and nothing once it is trusted', () => {
    assert.match(
      judged(HEALTHY.local, 0),
      /^warn: answers again after it hung; .* as soon as it answers 8 rounds$/,
    );
    assert.match(judged(HEALTHY.local, undefined), /^ok: answers on /);
  });
});
