import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { LIMITS } from '../../../agent/base/limits.ts';
import { frame } from '../../../agent/dns/frame.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import type { Handler } from '../../../agent/query/plugin.ts';
import type { Query } from '../../../agent/query/query.ts';
import { TcpClients } from '../../../agent/server/tcp/clients.ts';
import { TcpListener } from '../../../agent/server/tcp/listener.ts';
import { sharedListen } from '../../../agent/server/tcp/steer.ts';
import { settle } from '../../support/fake-clock.ts';
import { eventually } from '../../support/netns.ts';
import { answerTo, queryWire, type Rig, rigFor, txtAnswer } from '../../support/server/rig.ts';
import { type TcpClient, tcpClient } from '../../support/server/tcp-client.ts';

interface Listening {
  readonly rig: Rig;
  readonly listener: TcpListener;
  readonly connections: { value: number };
  readonly rejected: { value: number };
  connect(): Promise<TcpClient>;
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function listen(handler: Handler, clients = new TcpClients()): Promise<Listening> {
  const rig = rigFor(handler);
  const connections = { value: 0 };
  const rejected = { value: 0 };
  const listener = await TcpListener.open({
    ...{ endpoint: { address: '127.0.0.1', port: 0 }, listen: sharedListen },
    admission: rig.admission('tcp'),
    ...{ clock: rig.clock, clients, connections, rejected },
    onError: assert.ifError,
  });
  const made: TcpClient[] = [];
  cleanups.push(async () => {
    for (const { socket } of made) socket.destroy();
    await listener.close();
    assert.equal(rig.clock.pendingTimers, 0, 'a timer is left');
    await eventually('no connection is left', () => connections.value === 0);
  });
  const connect = async (): Promise<TcpClient> => {
    const accepted = connections.value;
    const client = await tcpClient(listener.endpoint.port);
    made.push(client);
    await eventually(
      'accepted',
      () => connections.value !== accepted || client.ended.closed || rejected.value > 0,
    );
    return client;
  };
  return { rig, listener, connections, rejected, connect };
}

/** A chain whose answers the test gives when it likes, by ID. */
function parking(): { handler: Handler; parked: Map<number, () => void> } {
  const parked = new Map<number, () => void>();
  const handler = (query: Query): Promise<Answer> =>
    new Promise((resolve) => {
      parked.set(query.id, () => resolve(answerTo(query)));
    });
  return { handler, parked };
}

const ids = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => from + i);
const queries = (from: number, count: number): Buffer[] =>
  ids(from, count).map((id) => queryWire('a.test', id));

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

  it('may send its query octet by octet, or many in one segment', async () => {
    const { connect } = await listen(answerTo);
    const client = await connect();
    client.socket.setNoDelay(true);
    for (const octet of frame(queryWire('a.test', 1))) {
      client.socket.write(Buffer.of(octet));
      await settle();
    }
    await client.received(1);
    client.ask(...queries(2, 50));
    await client.received(51);
    assert.deepEqual(client.ids(), ids(1, 51));
  });

  it('goes on after an empty frame, garbage and a response of its own', async () => {
    const { connect, rig } = await listen(answerTo);
    const client = await connect();
    const response = queryWire('a.test', 5);
    response.writeUInt16BE(0x8000, 2);
    client.ask(Buffer.alloc(0), Buffer.alloc(300, 0x41), response, queryWire('a.test', 1));
    await client.received(2);
    // Opcode 8 of the garbage's flags is not implemented.
    assert.deepEqual(client.ids(), [0x4141, 1]);
    const { tooShort, notImp, notAQuery } = rig.counters;
    assert.deepEqual([tooShort.value, notImp.value, notAQuery.value], [1, 1, 1]);
  });

  it('is still answered after it has closed its own end, then gets a FIN', async () => {
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

  it('that has gone does not disturb the answer it was waiting for', async () => {
    const { handler, parked } = parking();
    const { connect, rig, connections } = await listen(handler);
    const client = await connect();
    client.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    client.socket.resetAndDestroy();
    await eventually('gone', () => connections.value === 0);
    parked.get(1)?.();
    await settle();
    assert.equal(rig.row.recorded.length, 1);
  });

  it('cannot ask more at once than the limit; the rest waits in order and is answered', async () => {
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

  it('that does not read is not read either, gets all of it when it does, and is closed if it never does', async () => {
    const { connect, rig } = await listen(() => txtAnswer('a.test.', 736, 77));
    const client = await connect();
    client.socket.pause();
    const asked = 1_500;
    client.ask(...queries(0, asked));
    await eventually('stuck', async () => {
      const before = rig.row.recorded.length;
      await settle();
      return before > 0 && rig.row.recorded.length === before;
    });
    assert.ok(rig.row.recorded.length < asked / 4, `${rig.row.recorded.length} answers made`);
    client.socket.resume();
    await client.received(asked);
    assert.deepEqual(client.ids(), ids(0, asked));

    client.socket.pause();
    client.ask(...queries(0, asked));
    await eventually('asked', () => rig.row.recorded.length > asked);
    await settle();
    await rig.clock.advance(LIMITS.tcpWriteMs.default + 2_000);
    client.socket.resume();
    await eventually('closed', () => client.ended.closed || client.ended.fin);
    assert.ok(client.messages.length < 2 * asked);
  });
});

describe('limits on TCP clients', () => {
  it('end an idle one, but none that waits for its answer', async () => {
    const { handler, parked } = parking();
    const { connect, rig } = await listen(handler);
    const [idle, waiting] = [await connect(), await connect()];
    waiting.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    await rig.clock.advance(LIMITS.tcpIdleMs.default - 1_000);
    assert.equal(idle.ended.fin, false);
    await rig.clock.advance(3_000);
    await eventually('FIN', () => idle.ended.fin);
    assert.equal(waiting.ended.fin, false);
    parked.get(1)?.();
    await waiting.received(1);
  });

  it('end one that drips octets without ever finishing a query', async () => {
    const { connect, rig } = await listen(answerTo);
    const client = await connect();
    for (let i = 0; i < 12; i++) {
      client.socket.write(Buffer.of(0x10));
      await rig.clock.advance(1_000);
    }
    await eventually('FIN', () => client.ended.fin);
  });

  it('close the one that has been idle longest to make room, over all listeners', async () => {
    const clients = new TcpClients(3);
    const [one, two] = [await listen(answerTo, clients), await listen(answerTo, clients)];
    const [first, second, third] = [await one.connect(), await two.connect(), await one.connect()];
    for (const [rig, client] of [
      [one.rig, first],
      [two.rig, third],
    ] as const) {
      await one.rig.clock.advance(10);
      await rig.clock.advance(0);
      client.ask(queryWire('a.test', 1));
      await client.received(1);
    }
    const fourth = await two.connect();
    fourth.ask(queryWire('a.test', 4));
    await fourth.received(1);
    await eventually('closed', () => second.ended.closed || second.ended.fin);
    assert.deepEqual([first.ended.fin, third.ended.fin], [false, false]);
    assert.equal(two.rejected.value, 1);
  });

  it('turn a new one away where all the others wait for answers', async () => {
    const { handler, parked } = parking();
    const { connect, rejected } = await listen(handler, new TcpClients(1));
    const client = await connect();
    client.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    const second = await connect();
    await eventually('turned away', () => second.ended.closed || second.ended.fin);
    assert.equal(rejected.value, 1);
    parked.get(1)?.();
    await client.received(1);
  });
});

describe('a TCP listener that drains', () => {
  it('answers what was asked before, also what nobody had read yet, then sends FIN', async () => {
    const { handler, parked } = parking();
    const { connect, listener, rig } = await listen(handler);
    const [busy, idle] = [await connect(), await connect()];
    busy.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    busy.socket.cork();
    busy.ask(queryWire('a.test', 2));
    busy.socket.uncork();
    listener.drain();
    await eventually('FIN for the idle one', () => idle.ended.fin);
    assert.deepEqual([...parked.keys()], [1, 2]);
    assert.equal(listener.owed, 2, 'one waits for answers, one may not have read its FIN');
    await rig.clock.advance(500);
    assert.equal(listener.owed, 1);
    assert.equal(busy.ended.fin, false);
    await assert.rejects(tcpClient(listener.endpoint.port), { code: 'ECONNREFUSED' });
    for (const answer of parked.values()) answer();
    await eventually('FIN', () => busy.ended.fin);
    assert.deepEqual(busy.ids(), [1, 2]);
    assert.equal(listener.owed, 1);
    busy.socket.end();
    await eventually('nobody is owed anything', () => listener.owed === 0);
  });

  it('answers what is asked before its FIN, but not for ever', async () => {
    const { handler, parked } = parking();
    const { connect, listener, rig } = await listen(handler);
    const client = await connect();
    client.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    listener.drain();
    await eventually('closed', () => listener.owed === 1);
    client.ask(queryWire('a.test', 2));
    await eventually('asked again', () => parked.size === 2);
    await rig.clock.advance(1_000);
    client.ask(queryWire('a.test', 3));
    for (const answer of parked.values()) answer();
    await eventually('FIN', () => client.ended.fin);
    assert.deepEqual(client.ids(), [1, 2]);
    assert.equal(parked.size, 2);
  });

  it('closes at once where nobody is connected, and twice without harm', async () => {
    const { listener } = await listen(answerTo);
    listener.drain();
    listener.drain();
    await listener.close();
    await listener.close();
  });
});

it('says which address cannot be bound, and why', async () => {
  const alone = createServer().listen(0, '127.0.0.1');
  await once(alone, 'listening');
  const { port } = alone.address() as AddressInfo;
  const rig = rigFor(answerTo);
  const options = {
    ...{ admission: rig.admission('tcp'), clock: rig.clock, clients: new TcpClients() },
    listen: sharedListen,
    ...{ connections: { value: 0 }, rejected: { value: 0 }, onError: assert.ifError },
  };
  await assert.rejects(TcpListener.open({ ...options, endpoint: { address: '127.0.0.1', port } }), {
    name: 'NetworkError',
    phase: 'bind',
    errno: 'EADDRINUSE',
    message: new RegExp(`cannot bind 127.0.0.1:${port}/tcp`),
  });
  alone.close();
  assert.equal(rig.clock.pendingTimers, 0);
});

describe('patience with TCP clients', () => {
  it('a connection that has brought all it may is answered and closed', async () => {
    const { handler, parked } = parking();
    const { listener, connect } = await listen(handler);
    listener.patience = { maxQueries: 2 };
    const client = await connect();
    client.ask(queryWire('a', 1), queryWire('b', 2), queryWire('c', 3));
    await eventually('two are asked', () => parked.size === 2);
    for (const answer of parked.values()) answer();
    await eventually('the end', () => client.ended.fin);
    assert.deepEqual(client.ids(), [1, 2]);
  });

  it('holds for clients that are there already: read before the first query, idle after it', async () => {
    const { rig, listener, connect } = await listen(answerTo);
    const silent = await connect();
    const asking = await connect();
    asking.ask(queryWire('a', 1));
    await asking.received(1);
    listener.patience = { readMs: 3_000, idleMs: 60_000 };
    await rig.clock.advance(5_000);
    await eventually('the silent one is told to go', () => silent.ended.fin);
    assert.equal(asking.ended.fin, false);
    await rig.clock.advance(60_000);
    await eventually('the idle one too', () => asking.ended.fin);
  });
});

it('a client that falls silent is asked for a sign of life', async () => {
  const { connect, listener } = await listen(answerTo);
  await connect();
  const port = listener.endpoint.port.toString(16).toUpperCase().padStart(4, '0');
  const sockets = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  // Local address, remote one, state (01: established), queues, and the timer that runs (02: keep-alive).
  const accepted = new RegExp(`^ *\\d+: 0100007F:${port} \\S+ 01 \\S+ 02:`);
  assert.equal(sockets.filter((line) => accepted.test(line)).length, 1);
});
