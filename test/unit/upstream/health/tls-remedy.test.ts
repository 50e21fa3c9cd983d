/** What the log and a trace say of an upstream over TLS or HTTPS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeenAttempt } from '../../../../agent/upstream/exchange/attempt-watch.ts';
import { settle } from '../../../support/fake-clock.ts';
import { A, fixture, groupOptions, question, watch } from '../../../support/upstream/fixture.ts';

const HTTPS = { https: { path: '/dns-query', method: 'POST' } } as const;

for (const [errno, remedy] of [
  ['CERT_HAS_EXPIRED', /^openssl s_client -connect UPSTREAM shows its certificate/],
  ['EPROTONOSUPPORT', /HTTP\/2/],
  ['ETIMEDOUT', undefined],
] as const)
  test(`${errno} in the handshake: ${remedy === undefined ? 'the remedy of the event' : 'TLS is the remedy'}`, async () => {
    const { room, sockets, clock, log } = fixture();
    const group = room.group(groupOptions({ upstreams: [{ ...A, tls: HTTPS }] }));
    watch(group.exchange(question(), 4_000));
    for (let i = 0; i < 200 && log.records.length === 0; i++) {
      for (const stream of sockets.streams.splice(0)) {
        stream.shakeHands();
        stream.close(errno);
      }
      await clock.advance(50);
    }
    const { event, phase, remedy: said } = log.records[0]?.fields ?? {};
    assert.deepEqual([event, phase], ['upstream-down', 'handshake']);
    if (remedy === undefined) assert.equal(said, undefined);
    else assert.match(`${said}`, remedy);
  });

for (const [tls, transport] of [
  [{}, 'tls'],
  [HTTPS, 'https'],
] as const)
  test(`an attempt over ${transport} is shown as that`, async () => {
    const { room, sockets } = fixture();
    const group = room.group(groupOptions({ upstreams: [{ ...A, tls }] }));
    const seen: SeenAttempt[] = [];
    room.attempts.add((attempt) => seen.push(attempt));
    watch(group.exchange(question(), 4_000));
    const stream = sockets.tcp(A.address);
    stream.shakeHands();
    stream.open();
    await settle();
    stream.answer({ rcode: 3 });
    await settle();
    assert.deepEqual(
      seen.map((attempt) => attempt.transport),
      [transport],
    );
  });
