import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { clientKey } from '../../../agent/base/client-key.ts';
import { LIMITS } from '../../../agent/base/limits.ts';
import { type Holding, MemoryLedger } from '../../../agent/base/memory-ledger.ts';
import { frame } from '../../../agent/dns/frame.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import type { Handler } from '../../../agent/query/plugin.ts';
import type { Query } from '../../../agent/query/query.ts';
import { TcpClients } from '../../../agent/server/tcp/clients.ts';
import type { CloseReason } from '../../../agent/server/tcp/connection.ts';
import { TcpListener } from '../../../agent/server/tcp/listener.ts';
import { sharedListen } from '../../../agent/server/tcp/steer.ts';
import { settle } from '../../support/fake-clock.ts';
import { ledgerWith } from '../../support/ledger.ts';
import { eventually } from '../../support/netns.ts';
import { answerTo, queryWire, type Rig, rigFor, txtAnswer } from '../../support/server/rig.ts';
import { type TcpClient, tcpClient } from '../../support/server/tcp-client.ts';

interface Listening {
  readonly rig: Rig;
  readonly listener: TcpListener;
  readonly connections: { value: number };
  readonly rejected: { value: number };
  readonly closed: CloseReason[];
  /** Connects from `from`, 127.0.0.1 by default. */
  connect(from?: string): Promise<TcpClient>;
}

const cleanups: (() => Promise<void>)[] = [];
const ledgers = new Set<MemoryLedger>();
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  for (const { usedBytes } of ledgers) assert.equal(usedBytes, 0, 'still accounted for');
  ledgers.clear();
});

async function listen(
  handler: Handler,
  clients = new TcpClients(ledgerWith()),
): Promise<Listening> {
  const rig = rigFor(handler);
  const connections = { value: 0 };
  const rejected = { value: 0 };
  const closed: CloseReason[] = [];
  const listener = await TcpListener.open({
    ...{ endpoint: { address: '127.0.0.1', port: 0 }, listen: sharedListen },
    admission: rig.admission('tcp'),
    ...{ clock: rig.clock, clients, connections, rejected },
    onClosed: (reason) => void closed.push(reason),
    onCrowded: () => undefined,
    onError: assert.ifError,
  });
  ledgers.add(clients.ledger);
  const made: TcpClient[] = [];
  cleanups.push(async () => {
    for (const { socket } of made) socket.destroy();
    await listener.close();
    assert.equal(rig.clock.pendingTimers, 0, 'a timer is left');
    await eventually('no connection is left', () => connections.value === 0);
  });
  const connect = async (from?: string): Promise<TcpClient> => {
    const accepted = connections.value;
    const client = await tcpClient(listener.endpoint.port, '127.0.0.1', from);
    made.push(client);
    await eventually(
      'accepted',
      () => connections.value !== accepted || client.ended.closed || rejected.value > 0,
    );
    return client;
  };
  return { rig, listener, connections, rejected, closed, connect };
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

  it('goes on after garbage that has an ID', async () => {
    const { connect, rig } = await listen(answerTo);
    const client = await connect();
    client.ask(Buffer.alloc(300, 0x41), queryWire('a.test', 1));
    await client.received(2);
    // Opcode 8 of the garbage's flags is not implemented.
    assert.deepEqual(client.ids(), [0x4141, 1]);
    assert.equal(rig.counters.notImp.value, 1);
  });

  const response = queryWire('a.test', 5);
  response.writeUInt16BE(0x8000, 2);
  const nonsense = [
    ['an empty frame', Buffer.alloc(0), 'tooShort'],
    ['a frame shorter than a header', Buffer.alloc(11), 'tooShort'],
    ['a response', response, 'notAQuery'],
  ] as const;
  for (const [what, message, counter] of nonsense) {
    it(`that sends ${what} is closed, with the answers to what it asked before`, async () => {
      const { connect, rig, closed } = await listen(answerTo);
      const client = await connect();
      client.ask(queryWire('a.test', 1), message, queryWire('a.test', 2));
      await eventually('closed', () => client.ended.closed || client.ended.fin);
      assert.deepEqual(client.ids(), [1]);
      assert.deepEqual(closed, ['nonsense']);
      assert.equal(rig.counters[counter].value, 1);
    });
  }

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
    const clients = new TcpClients(ledgerWith(), 3);
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

  it('close one of the client that has the most, although all of them wait for answers', async () => {
    const { handler, parked } = parking();
    const { connect, rejected, rig } = await listen(handler, new TcpClients(ledgerWith(), 4));
    const many: TcpClient[] = [];
    for (let id = 0; id < 4; id++) {
      const client = await connect('127.0.0.66');
      client.ask(queryWire('a.test', id));
      await eventually('asked', () => parked.size === id + 1);
      await rig.clock.advance(10);
      many.push(client);
    }
    const other = await connect('127.0.0.7');
    other.ask(queryWire('a.test', 50));
    await eventually('asked, too', () => parked.has(50));
    await eventually('one closed', () => rejected.value === 1);
    for (const answer of parked.values()) answer();
    await other.received(1);
    await eventually('the oldest is closed', () => many[0]?.ended.closed === true);
    await many[3]?.received(1);
  });

  it('close one of the newcomer where that has the most itself', async () => {
    const { connect, rejected } = await listen(answerTo, new TcpClients(ledgerWith(), 3));
    const other = await connect('127.0.0.7');
    const first = await connect('127.0.0.66');
    await connect('127.0.0.66');
    await connect('127.0.0.66');
    await eventually('closed', () => first.ended.closed || first.ended.fin);
    assert.equal(rejected.value, 1);
    other.ask(queryWire('a.test', 1));
    await other.received(1);
  });
});

describe('what a TCP client makes the agent hold', () => {
  it('is accounted for, and the largest connection is closed where it is too much', async () => {
    const ledger = ledgerWith(1_000_000);
    const { connect, connections } = await listen(
      () => txtAnswer('a.test.', 736, 77),
      new TcpClients(ledger),
    );
    const greedy: TcpClient[] = [];
    for (let i = 0; i < 8; i++) greedy.push(await connect('127.0.0.66'));
    const other = await connect('127.0.0.7');
    // Enough to fill the buffers of the kernel, and then ours.
    for (const client of greedy) {
      client.socket.pause();
      client.ask(...queries(0, 1_500));
    }
    await eventually('one is closed', () => connections.value < 9);
    assert.ok(ledger.usedBytes <= 1_000_000);
    other.ask(queryWire('a.test', 1));
    await other.received(1);
  });

  it('does not depend on the length it announces', async () => {
    const ledger = ledgerWith();
    const { connect } = await listen(answerTo, new TcpClients(ledger));
    const client = await connect();
    const idleBytes = ledger.usedBytes;
    client.socket.write(Buffer.of(0xff, 0xff, 1, 2, 3));
    await eventually('read', () => ledger.usedBytes > idleBytes);
    assert.ok(ledger.usedBytes - idleBytes < 1_024, `${ledger.usedBytes - idleBytes} bytes`);
  });

  it('is not made larger while memory is short and the client holds the most', async () => {
    const { handler, parked } = parking();
    const ledger = ledgerWith(200_000);
    const { connect, rig } = await listen(handler, new TcpClients(ledger));
    const client = await connect('127.0.0.66');
    const share = ledger.share(clientKey('127.0.0.66'));
    const held: Holding = { kind: 'query', heldBytes: 150_000, giveWay: assert.fail };
    share.add(held);
    client.ask(...queries(0, 3));
    await eventually('received', () => ledger.usedBytes > 150_000 + 2 * 12_288);
    assert.equal(parked.size, 0);
    share.remove(held);
    await rig.clock.advance(1_000);
    await eventually('asked', () => parked.size === 3);
  });

  it('is let go of where only its own end could free any', async () => {
    const limited: string[] = [];
    const ledger = new MemoryLedger({
      ...{ clientBudgetBytes: 600_000, fileBudgetBytes: 0 },
      onLimited: ({ key }) => void limited.push(key),
    });
    const { connect, connections, rig } = await listen(answerTo, new TcpClients(ledger));
    // Together they hold three quarters of what there is, each with a message that has not come whole.
    const unfinished = Buffer.concat([Buffer.of(0xff, 0xff), Buffer.alloc(40_000)]);
    const greedy: TcpClient[] = [];
    for (let i = 0; i < 9; i++) greedy.push(await connect('127.0.0.66'));
    for (const { socket } of greedy) socket.write(unfinished);
    await eventually('memory is short', () => ledger.usedBytes > 450_000);
    for (const { socket } of greedy) socket.end(Buffer.alloc(10_000));
    await settle();
    await rig.clock.advance(LIMITS.tcpIdleMs.default + 2_000);
    await eventually('memory is free', () => ledger.usedBytes < 450_000);
    await rig.clock.advance(LIMITS.tcpIdleMs.default + 2_000);
    await eventually('they are gone', () => connections.value === 0);
    assert.ok(limited.length > 0 && limited.length < 9, `${limited.length} closed for it`);
    assert.equal(limited[0], clientKey('127.0.0.66'));
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
    ...{ admission: rig.admission('tcp'), clock: rig.clock, clients: new TcpClients(ledgerWith()) },
    listen: sharedListen,
    ...{ connections: { value: 0 }, rejected: { value: 0 }, onError: assert.ifError },
    ...{ onClosed: assert.fail, onCrowded: assert.fail },
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
