/** For any input from an upstream: no crash, bounded waiting, and a real reply still wins. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frame } from '../../../agent/dns/frame.ts';
import { settle } from '../../support/fake-clock.ts';
import {
  A,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../support/upstream/fixture.ts';
import { replyTo, type SeenQuery } from '../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const BOUNDS = { numRuns: 150, interruptAfterTimeLimit: 5_000 };

/** A true reply with one byte behind the ID and the flags changed, or cut short, or random bytes. */
type Lie =
  | { readonly kind: 'flip'; readonly at: number; readonly to: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'noise'; readonly bytes: Uint8Array };

const lies: fc.Arbitrary<Lie> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(60), to: fc.nat(255) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(60) }),
  fc.record({ kind: fc.constant('noise' as const), bytes: fc.uint8Array({ maxLength: 80 }) }),
);

function reply(lie: Lie, query: SeenQuery): Buffer {
  if (lie.kind === 'noise') return Buffer.from(lie.bytes);
  const message = replyTo(query, { address: ADDRESS });
  if (lie.kind === 'cut') return message.subarray(0, lie.at % message.length);
  message[lie.at % message.length] = lie.to;
  return message;
}

test('UDP: every exchange ends by its deadline, answered or with a DnsError', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(lies, { maxLength: 12 }), async (reported) => {
      const { room, sockets, clock } = fixture();
      const watched = watch(room.group(groupOptions()).exchange(question(), 2_000));
      for (const lie of reported) {
        const socket = sockets.udp(A.address);
        if (!socket.isClosed) socket.deliver(reply(lie, socket.queries.at(-1) as SeenQuery));
        await clock.advance(50);
      }
      await clock.advance(2_100);
      assert.notEqual(watched.outcome, undefined);
      assert.equal(room.inFlight, 0);
      await room.close();
      assert.equal(clock.pendingTimers, 0);
    }),
    BOUNDS,
  );
});

test('UDP: random bytes never keep the real reply from winning', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 20 }),
      async (noise) => {
        const { room, sockets } = fixture();
        const watched = watch(room.group(groupOptions()).exchange(question(), 2_000));
        const socket = sockets.udp(A.address);
        for (const bytes of noise) socket.deliver(Buffer.from(bytes));
        socket.answer({ address: ADDRESS });
        await settle();
        assert.equal(replyOf(watched).reply.records.length, 1);
        await room.close();
      },
    ),
    BOUNDS,
  );
});

test('TCP: a stream of forged replies in chunks of any size ends in the same way', async () => {
  const chunked = fc.tuple(fc.array(lies, { maxLength: 12 }), fc.integer({ min: 1, max: 40 }));
  await fc.assert(
    fc.asyncProperty(chunked, async ([reported, chunkBytes]) => {
      const { room, sockets, clock } = fixture();
      const group = room.group(groupOptions({ forceTcp: true }));
      const watched = watch(group.exchange(question(), 2_000));
      const stream = sockets.tcp(A.address);
      stream.open();
      const query = stream.queries[0] as SeenQuery;
      const bytes = Buffer.concat(reported.map((lie) => frame(reply(lie, query))));
      for (let at = 0; at < bytes.length && stream.state === 'open'; at += chunkBytes) {
        stream.deliver(bytes.subarray(at, at + chunkBytes));
        await clock.advance(1);
      }
      await clock.advance(2_100);
      assert.notEqual(watched.outcome, undefined);
      await room.close();
      assert.equal(room.inFlight, 0);
      assert.equal(clock.pendingTimers, 0);
    }),
    BOUNDS,
  );
});
