import { strict as assert } from 'node:assert';
import { afterEach, describe, it } from 'node:test';
import { LIMITS } from '../../../../agent/base/limits.ts';
import { frame } from '../../../../agent/dns/frame.ts';
import { settle } from '../../../support/fake-clock.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { answerTo, queryWire, txtAnswer } from '../../../support/server/fixture.ts';
import {
  closeListeners,
  ids,
  listen,
  parking,
  queries,
} from '../../../support/server/tcp-listening.ts';

afterEach(closeListeners);

describe('a TCP client', () => {
  it('gets the answers to pipelined queries as they are ready', async () => {
    const { handler, parked } = parking();
    const { connect } = await listen(handler);
    const client = await connect();
    client.ask(...queries(1, 3));
    await eventually('asked', () => parked.size === 3);
    for (const [index, id] of [3, 1, 2].entries()) {
      parked.get(id)?.();
      await client.received(index + 1);
    }
    assert.deepEqual(client.ids(), [3, 1, 2]);
  });

  it('may send its query byte by byte, or many in one segment', async () => {
    const { connect } = await listen(answerTo);
    const client = await connect();
    client.socket.setNoDelay(true);
    for (const byte of frame(queryWire('a.test', 1))) {
      client.socket.write(Buffer.of(byte));
      await settle();
    }
    await client.received(1);
    client.ask(...queries(2, 50));
    await client.received(51);
    assert.deepEqual(client.ids(), ids(1, 51));
  });

  it('continues after garbage that has an ID', async () => {
    const { connect, fixture } = await listen(answerTo);
    const client = await connect();
    client.ask(Buffer.alloc(300, 0x41), queryWire('a.test', 1));
    await client.received(2);
    // Opcode 8 of the garbage's flags is not implemented.
    assert.deepEqual(client.ids(), [0x4141, 1]);
    assert.equal(fixture.counters.notImp.value, 1);
  });

  const response = queryWire('a.test', 5);
  response.writeUInt16BE(0x8000, 2);
  const nonsense = [
    ['an empty frame', Buffer.alloc(0), 'tooShort'],
    ['a frame shorter than a header', Buffer.alloc(11), 'tooShort'],
    ['a response', response, 'notAQuery'],
  ] as const;
  for (const [what, message, counter] of nonsense) {
    it(`that sends ${what} is closed after the answers to its earlier queries`, async () => {
      const { connect, fixture, closed } = await listen(answerTo);
      const client = await connect();
      client.ask(queryWire('a.test', 1), message, queryWire('a.test', 2));
      await eventually('closed', () => client.ended.closed || client.ended.fin);
      assert.deepEqual(client.ids(), [1]);
      assert.deepEqual(closed, ['nonsense']);
      assert.equal(fixture.counters[counter].value, 1);
    });
  }

  it('that sends a message of more than 4,096 bytes gets an error before the end of it, and is closed', async () => {
    const { connect, fixture, closed } = await listen(answerTo);
    const client = await connect();
    const long = Buffer.alloc(60_000);
    queryWire('a.test', 2).copy(long);
    long.writeUInt16BE(0xffff, 10);
    client.ask(queryWire('a.test', 1));
    client.socket.write(frame(long).subarray(0, 5_000));
    await eventually('closed', () => client.ended.closed || client.ended.fin);
    assert.deepEqual(client.ids(), [1, 2]);
    assert.deepEqual(closed, ['nonsense']);
    assert.equal(fixture.counters.formErr.value, 1);
  });

  it('is still answered after it has closed its side, then gets a FIN', async () => {
    const { handler, parked } = parking();
    const { connect } = await listen(handler);
    const client = await connect();
    client.ask(queryWire('a.test', 1));
    client.socket.end();
    await eventually('asked', () => parked.size === 1);
    assert.equal(client.ended.fin, false);
    parked.get(1)?.();
    await eventually('FIN', () => client.ended.fin);
    assert.deepEqual(client.ids(), [1]);
  });

  it('that has gone does not disturb the answer to its query', async () => {
    const { handler, parked } = parking();
    const { connect, fixture, connections } = await listen(handler);
    const client = await connect();
    client.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    client.socket.resetAndDestroy();
    await eventually('gone', () => connections.value === 0);
    parked.get(1)?.();
    await settle();
    assert.equal(fixture.requestMetrics.recorded.length, 1);
  });

  it('cannot have more concurrent queries than the limit; the others wait in order and are answered', async () => {
    const { handler, parked } = parking();
    const { connect } = await listen(handler);
    const client = await connect();
    const limit = LIMITS.tcpPipelinedQueries.default;
    client.ask(...queries(0, limit + 100));
    client.socket.end();
    await eventually('asked', () => parked.size >= limit);
    await settle();
    assert.equal(parked.size, limit);
    parked.get(7)?.();
    await client.received(1);
    assert.equal(parked.size, limit + 1);
    for (let id = 0; id < limit + 100; id++) {
      await eventually(`query ${id}`, () => parked.has(id));
      parked.get(id)?.();
    }
    await eventually('FIN', () => client.ended.fin);
    assert.deepEqual(
      client.ids().toSorted((a, b) => a - b),
      ids(0, limit + 100),
    );
  });

  it('that does not read its answers is not read from, gets all of them once it reads, and is closed if it never does', async () => {
    const { connect, fixture } = await listen(() => txtAnswer('a.test.', 736, 77));
    const client = await connect();
    client.socket.pause();
    const asked = 1_500;
    client.ask(...queries(0, asked));
    await eventually('stuck', async () => {
      const before = fixture.requestMetrics.recorded.length;
      await settle();
      return before > 0 && fixture.requestMetrics.recorded.length === before;
    });
    assert.ok(
      fixture.requestMetrics.recorded.length < asked / 4,
      `${fixture.requestMetrics.recorded.length} answers made`,
    );
    client.socket.resume();
    await client.received(asked);
    assert.deepEqual(client.ids(), ids(0, asked));

    client.socket.pause();
    client.ask(...queries(0, asked));
    await eventually('asked', () => fixture.requestMetrics.recorded.length > asked);
    await settle();
    await fixture.clock.advance(LIMITS.tcpWriteMs.default + 2_000);
    client.socket.resume();
    await eventually('closed', () => client.ended.closed || client.ended.fin);
    assert.ok(client.messages.length < 2 * asked);
  });
});
