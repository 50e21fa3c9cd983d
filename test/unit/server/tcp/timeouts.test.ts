import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import { eventually } from '../../../support/netns/netns.ts';
import { answerTo, queryWire } from '../../../support/server/fixture.ts';
import { closeListeners, listen, parking } from '../../../support/server/tcp-listening.ts';

afterEach(closeListeners);

describe('timeouts with TCP clients', () => {
  it('a connection that has sent the maximum number of queries is answered and closed', async () => {
    const { handler, parked } = parking();
    const { listener, connect } = await listen(handler);
    listener.timeouts = { maxQueries: 2 };
    const client = await connect();
    client.ask(queryWire('a', 1), queryWire('b', 2), queryWire('c', 3));
    await eventually('two are asked', () => parked.size === 2);
    for (const answer of parked.values()) answer();
    await eventually('the end', () => client.ended.fin);
    assert.deepEqual(client.ids(), [1, 2]);
  });

  it('applies to connected clients: read before the first query, idle after it', async () => {
    const { fixture, listener, connect } = await listen(answerTo);
    const silent = await connect();
    const asking = await connect();
    asking.ask(queryWire('a', 1));
    await asking.received(1);
    listener.timeouts = { readMs: 3_000, idleMs: 60_000 };
    await fixture.clock.advance(5_000);
    await eventually('the silent one gets a FIN', () => silent.ended.fin);
    assert.equal(asking.ended.fin, false);
    await fixture.clock.advance(60_000);
    await eventually('the idle one too', () => asking.ended.fin);
  });
});

it('the kernel sends keep-alive probes to a silent client', async () => {
  const { connect, listener } = await listen(answerTo);
  await connect();
  const port = listener.endpoint.port.toString(16).toUpperCase().padStart(4, '0');
  const sockets = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  // Local address, remote one, state (01: established), queues, and the timer that runs (02: keep-alive).
  const accepted = new RegExp(`^ *\\d+: 0100007F:${port} \\S+ 01 \\S+ 02:`);
  assert.equal(sockets.filter((line) => accepted.test(line)).length, 1);
});
