import { strict as assert } from 'node:assert';
import { afterEach, describe, it } from 'node:test';
import { clientKey } from '../../../../agent/base/clients/client-key.ts';
import { type Holding, MemoryLedger } from '../../../../agent/base/clients/memory-ledger.ts';
import { LIMITS } from '../../../../agent/base/limits.ts';
import { TcpClients } from '../../../../agent/server/tcp/clients.ts';
import { settle } from '../../../support/fake-clock.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { answerTo, queryWire, txtAnswer } from '../../../support/server/fixture.ts';
import type { TcpClient } from '../../../support/server/tcp-client.ts';
import { closeListeners, listen, parking, queries } from '../../../support/server/tcp-listening.ts';

afterEach(closeListeners);

describe('limits on TCP clients', () => {
  it('close an idle connection, but none that waits for its answer', async () => {
    const { handler, parked } = parking();
    const { connect, fixture } = await listen(handler);
    const [idle, waiting] = [await connect(), await connect()];
    waiting.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    await fixture.clock.advance(LIMITS.tcpIdleMs.default - 1_000);
    assert.equal(idle.ended.fin, false);
    await fixture.clock.advance(3_000);
    await eventually('FIN', () => idle.ended.fin);
    assert.equal(waiting.ended.fin, false);
    parked.get(1)?.();
    await waiting.received(1);
  });

  it('let datagrams be answered between the events of many connections', async () => {
    const clients = new TcpClients(ledgerWith());
    let looked = 0;
    clients.scheduler.remember({ exchangeNow: () => looked++ });
    const { connect } = await listen(answerTo, clients);
    const open = await Promise.all(Array.from({ length: 8 }, () => connect()));
    await eventually('eight new connections', () => looked === 1);
    for (const client of open) client.ask(queryWire('a.test', 1));
    for (const client of open) await client.received(1);
    assert.equal(looked, 2, 'an event and a message of each');
    for (const client of open) client.socket.destroy();
    await eventually('eight closed connections', () => looked === 3);
  });

  it('let datagrams be answered earlier between queries that have to wait', async () => {
    const clients = new TcpClients(ledgerWith());
    let looked = 0;
    clients.scheduler.remember({ exchangeNow: () => looked++ });
    const { handler, parked } = parking();
    const { connect } = await listen(handler, clients);
    const client = await connect();
    client.ask(...queries(1, 16));
    await eventually('asked', () => parked.size === 16);
    // Each costs as much as four that are answered at once: eight fill a slice, and datagrams are looked at before the others.
    assert.ok(looked >= 1);
    for (const answer of parked.values()) answer();
    await client.received(16);
  });

  it('close a connection that sends single bytes without ever finishing a query', async () => {
    const { connect, fixture } = await listen(answerTo);
    const client = await connect();
    for (let i = 0; i < 12; i++) {
      client.socket.write(Buffer.of(0x10));
      await fixture.clock.advance(1_000);
    }
    await eventually('FIN', () => client.ended.fin);
  });

  it('close the connection that has been idle longest to make room, over all listeners', async () => {
    const clients = new TcpClients(ledgerWith(), 3);
    const [one, two] = [await listen(answerTo, clients), await listen(answerTo, clients)];
    const [first, second, third] = [await one.connect(), await two.connect(), await one.connect()];
    for (const [fixture, client] of [
      [one.fixture, first],
      [two.fixture, third],
    ] as const) {
      await one.fixture.clock.advance(10);
      await fixture.clock.advance(0);
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

  it('close a connection of the client that has the most, although all of them wait for answers', async () => {
    const { handler, parked } = parking();
    const { connect, rejected, fixture } = await listen(handler, new TcpClients(ledgerWith(), 4));
    const many: TcpClient[] = [];
    for (let id = 0; id < 4; id++) {
      const client = await connect('127.0.0.66');
      client.ask(queryWire('a.test', id));
      await eventually('asked', () => parked.size === id + 1);
      await fixture.clock.advance(10);
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

  it('close a connection of the new client where that client has the most', async () => {
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

describe('the memory of a TCP client', () => {
  it('is accounted for, and the largest connection is closed where the memory exceeds the budget', async () => {
    const ledger = ledgerWith(650_000);
    const { connect, connections } = await listen(
      () => txtAnswer('a.test.', 736, 77),
      new TcpClients(ledger),
    );
    const greedy: TcpClient[] = [];
    for (let i = 0; i < 8; i++) greedy.push(await connect('127.0.0.66'));
    const other = await connect('127.0.0.7');
    // Enough to fill the buffers of the kernel and then those of the agent.
    for (const client of greedy) {
      client.socket.pause();
      client.ask(...queries(0, 1_500));
    }
    await eventually('one is closed', () => connections.value < 9);
    assert.ok(ledger.usedBytes <= 650_000);
    other.ask(queryWire('a.test', 1));
    await other.received(1);
  });

  it('does not depend on the announced length', async () => {
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
    const { connect, fixture } = await listen(handler, new TcpClients(ledger));
    const client = await connect('127.0.0.66');
    const share = ledger.share(clientKey('127.0.0.66'));
    const held: Holding = { kind: 'query', heldBytes: 150_000, giveWay: assert.fail };
    share.add(held);
    client.ask(...queries(0, 3));
    await eventually('received', () => ledger.usedBytes > 150_000 + 2 * 12_288);
    assert.equal(parked.size, 0);
    share.remove(held);
    await fixture.clock.advance(1_000);
    await eventually('asked', () => parked.size === 3);
  });

  it('is freed by closing where only that can free any', async () => {
    const COUNT = 30;
    const limited: string[] = [];
    const ledger = new MemoryLedger({
      ...{ clientBudgetBytes: 600_000, fileBudgetBytes: 0 },
      onLimited: ({ key }) => void limited.push(key),
    });
    const { connect, connections, fixture } = await listen(answerTo, new TcpClients(ledger));
    // Together they hold three quarters of the budget, each with an incomplete message.
    const unfinished = Buffer.concat([Buffer.of(0x10, 0), Buffer.alloc(4_000)]);
    const greedy: TcpClient[] = [];
    for (let i = 0; i < COUNT; i++) greedy.push(await connect('127.0.0.66'));
    for (const { socket } of greedy) socket.write(unfinished);
    await eventually('memory is short', () => ledger.usedBytes > 450_000);
    for (const { socket } of greedy) socket.end(Buffer.alloc(50));
    await settle();
    await fixture.clock.advance(LIMITS.tcpIdleMs.default + 2_000);
    await eventually('memory is free', () => ledger.usedBytes < 450_000);
    await fixture.clock.advance(LIMITS.tcpIdleMs.default + 2_000);
    await eventually('they are gone', () => connections.value === 0);
    assert.ok(limited.length > 0 && limited.length < COUNT, `${limited.length} closed for it`);
    assert.equal(limited[0], clientKey('127.0.0.66'));
  });
});
