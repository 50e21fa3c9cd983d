import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { TcpClients } from '../../../../agent/server/tcp/clients.ts';
import { TcpListener } from '../../../../agent/server/tcp/listener.ts';
import { sharedListen } from '../../../../agent/server/tcp/reuseport-takeover.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { answerTo, fixtureFor, queryWire } from '../../../support/server/fixture.ts';
import { tcpClient } from '../../../support/server/tcp-client.ts';
import { closeListeners, listen, parking } from '../../../support/server/tcp-listening.ts';

afterEach(closeListeners);

describe('a TCP listener that drains', () => {
  it('answers earlier queries, also those not read yet, then sends FIN', async () => {
    const { handler, parked } = parking();
    const { connect, listener, fixture } = await listen(handler);
    const [busy, idle] = [await connect(), await connect()];
    busy.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    busy.socket.cork();
    busy.ask(queryWire('a.test', 2));
    busy.socket.uncork();
    listener.drain();
    await eventually('FIN for the idle one', () => idle.ended.fin);
    assert.deepEqual([...parked.keys()], [1, 2]);
    assert.equal(
      listener.unfinishedConnections,
      2,
      'one waits for answers, one may not have read its FIN',
    );
    await fixture.clock.advance(500);
    assert.equal(listener.unfinishedConnections, 1);
    assert.equal(busy.ended.fin, false);
    await assert.rejects(tcpClient(listener.endpoint.port), { code: 'ECONNREFUSED' });
    for (const answer of parked.values()) answer();
    await eventually('FIN', () => busy.ended.fin);
    assert.deepEqual(busy.ids(), [1, 2]);
    assert.equal(listener.unfinishedConnections, 1);
    busy.socket.end();
    await eventually('no client waits for an answer', () => listener.unfinishedConnections === 0);
  });

  it('answers queries that arrive before its FIN, for a limited time', async () => {
    const { handler, parked } = parking();
    const { connect, listener, fixture } = await listen(handler);
    const client = await connect();
    client.ask(queryWire('a.test', 1));
    await eventually('asked', () => parked.size === 1);
    listener.drain();
    await eventually('closed', () => listener.unfinishedConnections === 1);
    client.ask(queryWire('a.test', 2));
    await eventually('asked again', () => parked.size === 2);
    await fixture.clock.advance(1_000);
    client.ask(queryWire('a.test', 3));
    for (const answer of parked.values()) answer();
    await eventually('FIN', () => client.ended.fin);
    assert.deepEqual(client.ids(), [1, 2]);
    assert.equal(parked.size, 2);
  });

  it('closes at once where no client is connected, and twice without harm', async () => {
    const { listener } = await listen(answerTo);
    listener.drain();
    listener.drain();
    await listener.close();
    await listener.close();
  });
});

it('names the address that cannot be bound, and the reason', async () => {
  const alone = createServer().listen(0, '127.0.0.1');
  await once(alone, 'listening');
  const { port } = alone.address() as AddressInfo;
  const fixture = fixtureFor(answerTo);
  const options = {
    ...{
      processor: fixture.processor('tcp'),
      clock: fixture.clock,
      clients: new TcpClients(ledgerWith()),
    },
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
  assert.equal(fixture.clock.pendingTimers, 0);
});
