import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeenAttempt } from '../../../agent/upstream/exchange/attempt-watch.ts';
import { settle } from '../../support/fake-clock.ts';
import { A, B, fixture, groupOptions, question, watch } from '../../support/upstream/fixture.ts';

test('each attempt is shown with its time, while there is a look', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ upstreams: [A, B] }));
  const seen: SeenAttempt[] = [];
  const stop = room.attempts.add((attempt) => seen.push(attempt));
  watch(group.exchange(question(), 4_000));
  await clock.advance(1_100);
  sockets.udp(B.address).answer({ rcode: 3 });
  await settle();
  assert.deepEqual(
    seen.map(({ upstream, transport, rcode, failure }) => [upstream, transport, rcode, failure]),
    [
      ['192.0.2.1:53', 'udp', undefined, 'ETIMEDOUT'],
      ['192.0.2.2:53', 'udp', 3, undefined],
    ],
  );
  assert.ok((seen[0]?.durationMs ?? 0) >= 1_000);
  stop();
  assert.equal(room.attempts.seen, undefined, 'an attempt checks one field');
  watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ rcode: 0 });
  await settle();
  assert.equal(seen.length, 2);
});
