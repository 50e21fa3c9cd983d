import { strict as assert } from 'node:assert';
import { connect } from 'node:net';
import { afterEach, beforeEach, it } from 'node:test';
import { NetworkError } from '../../../agent/base/errors.ts';
import { FrameReader, frame } from '../../../agent/dns/frame.ts';
import { clientAt } from '../../../agent/query/query.ts';
import { ZoneTable } from '../../../agent/query/routing.ts';
import { Dispatcher } from '../../../agent/server/dispatch.ts';
import { Listeners } from '../../../agent/server/listeners.ts';
import { sharedListen } from '../../../agent/server/tcp/reuseport-takeover.ts';
import type { UdpTransport } from '../../../agent/server/udp/contract.ts';
import { openDgram } from '../../../agent/server/udp/dgram.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ledgerWith } from '../../support/ledger.ts';
import { answerTo, queryWire } from '../../support/server/fixture.ts';
import { overTcp, overUdp } from '../../support/server/subject.ts';
import { ReadableMetrics, RecordingLogger } from '../../support/services.ts';

const at = (host: string) => ({ address: host, port: 20_000 + (process.pid % 10_000) });
const A = at('127.0.0.2');
const B = at('127.0.0.3');
const ELSEWHERE = at('192.0.2.1');

let listeners: Listeners;
let metrics: ReadableMetrics;
let dispatcher: Dispatcher;
let clock: FakeClock;

function make(openUdp = openDgram): Listeners {
  metrics = new ReadableMetrics();
  clock = new FakeClock();
  const log = new RecordingLogger();
  dispatcher = new Dispatcher(log, { value: 0 });
  return new Listeners({
    ...{ openUdp, listenTcp: sharedListen, dispatcher, clock, metrics, log },
    ...{ ledger: ledgerWith(), onLimited: () => undefined },
    ...{ isUdpWildcard: false, addresses: () => [], intercepted: [] },
  });
}

function answerEverywhere(): void {
  const route = { zone: '.', handler: answerTo, requestMetrics: undefined, anyClass: false };
  const table = new ZoneTable([route], undefined);
  dispatcher.swap([table, table, table]);
}

async function answers({ address, port }: typeof A): Promise<boolean[]> {
  const target = { host: address, port };
  const query = queryWire('a.test', 1);
  const responses = await Promise.all([overUdp(target, query, 500), overTcp(target, query, 500)]);
  return responses.map((response) => response !== undefined);
}

beforeEach(() => {
  listeners = make();
});
afterEach(() => listeners.close());

it('answers over UDP and TCP on every address it has opened', async () => {
  await listeners.open([A, B]);
  answerEverywhere();
  assert.deepEqual(listeners.endpoints, [A, B]);
  assert.deepEqual(
    [await answers(A), await answers(B)],
    [
      [true, true],
      [true, true],
    ],
  );
  assert.equal(listeners.pending, 0);
});

it('binds all or nothing: open sockets stay, new ones are closed', async () => {
  await listeners.open([A]);
  answerEverywhere();
  await assert.rejects(listeners.open([A, B, ELSEWHERE]), {
    phase: 'bind',
    errno: 'EADDRNOTAVAIL',
  });
  assert.deepEqual(listeners.endpoints, [A]);
  assert.deepEqual(await answers(A), [true, true]);
  assert.deepEqual(await answers(B), [false, false]);
  await listeners.open([B]);
});

it('closes the TCP listener where UDP cannot be bound', async () => {
  const refused = make(() => Promise.reject(new NetworkError('bind', 'EACCES', 'no')));
  await assert.rejects(refused.open([A]), { errno: 'EACCES' });
  assert.equal(clock.pendingTimers, 0);
  listeners = make();
  await listeners.open([A]);
});

it('closes listeners that are not retained, and can open them again', async () => {
  await listeners.open([A, B]);
  answerEverywhere();
  await listeners.retain([B]);
  assert.deepEqual(listeners.endpoints, [B]);
  assert.deepEqual(
    [await answers(A), await answers(B)],
    [
      [false, false],
      [true, true],
    ],
  );
  await listeners.open([A]);
  assert.deepEqual(await answers(A), [true, true]);
});

it('applies timeouts set before it opened, also to later listeners', async () => {
  const { index } = listeners.label(B);
  const timeouts = [];
  timeouts[index] = { maxQueries: 1 };
  listeners.setTcpTimeouts(timeouts);
  await listeners.open([A, B]);
  answerEverywhere();
  const both = Buffer.concat([1, 2].map((id) => frame(queryWire('a.test', id))));
  assert.deepEqual([await answersOnOne(A, both), await answersOnOne(B, both)], [2, 1]);
});

/** Responses to `frames`, sent in one write on one connection that is then ended. */
async function answersOnOne({ address, port }: typeof A, frames: Buffer): Promise<number> {
  const socket = connect(port, address);
  socket.end(frames);
  let count = 0;
  const reader = new FrameReader();
  for await (const chunk of socket) {
    reader.push(chunk as Buffer, () => {
      count++;
    });
  }
  return count;
}

it('gives an address the same label at all times, whether or not it is open', async () => {
  const label = listeners.label(A);
  assert.deepEqual(label, { index: 0, label: `dns://127.0.0.2:${A.port}` });
  assert.equal(listeners.label(B).index, 1);
  await listeners.open([A]);
  await listeners.retain([]);
  assert.equal(listeners.label({ ...A }), label);
});

it('counts dropped and refused queries of a listener, across reopenings', async () => {
  for (const life of [1, 2]) {
    await listeners.open([A]);
    const target = { host: A.address, port: A.port };
    await overUdp(target, Buffer.alloc(5), 100);
    await overTcp(target, Buffer.alloc(12));
    const listener = listeners.label(A).label;
    assert.equal(
      metrics.value('nodens_packets_dropped_total', { listener, reason: 'short' }),
      life,
    );
    assert.equal(
      metrics.value('nodens_malformed_queries_total', { listener, verdict: 'formerr' }),
      life,
    );
    await listeners.retain([]);
  }
});

it('counts a reply that could not be sent', async () => {
  let failed: (error: Error) => void = () => undefined;
  const transport: UdpTransport = {
    endpoint: A,
    clientOf: () => clientAt('', 0),
    send: () => undefined,
    exchangeNow: () => undefined,
    close: () => Promise.resolve(),
  };
  listeners = make((options) => {
    failed = options.onError;
    return Promise.resolve(transport);
  });
  await listeners.open([A]);
  failed(new Error('EPERM'));
  const listener = listeners.label(A).label;
  assert.equal(metrics.value('nodens_packets_dropped_total', { listener, reason: 'send' }), 1);
});
