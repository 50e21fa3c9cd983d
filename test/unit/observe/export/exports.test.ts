import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import {
  createServer as createTlsServer,
  getCACertificates,
  setDefaultCACertificates,
} from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { systemClock } from '../../../../agent/base/clock.ts';
import { createExports } from '../../../../agent/observe/export/exports.ts';
import { FrameStream } from '../../../../agent/observe/export/frame-stream.ts';
import { takeProfile } from '../../../../agent/observe/export/profiles.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { ReadableMetrics, RecordingLogger } from '../../../support/services.ts';
import { Authority, type Pair } from '../../../support/upstream/certificates.ts';

const context = () => ({
  clock: new FakeClock(),
  log: new RecordingLogger(),
  metrics: new ReadableMetrics(),
});
const options = { contentType: 'x:y', maxFrames: 3, maxBytes: 1_000 };
const u32 = (...values: readonly number[]): Buffer =>
  Buffer.concat(values.map((value) => Buffer.from([value >> 24, value >> 16, value >> 8, value])));
const CONTENT_TYPE = Buffer.concat([u32(1, 3), Buffer.from('x:y')]);
const control = (type: number, rest = CONTENT_TYPE): Buffer =>
  Buffer.concat([u32(0, 4 + rest.length, type), rest]);

describe('FrameStream', () => {
  async function reader(answer: Buffer, pair?: Pair) {
    const received: Buffer[] = [];
    const sockets: Socket[] = [];
    const onSocket = (socket: Socket): void => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.once('data', () => socket.write(answer));
      socket.on('data', (chunk) => received.push(chunk));
    };
    const overTls = ({ cert, key }: Pair) =>
      createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, onSocket);
    const server = pair === undefined ? createServer(onSocket) : overTls(pair);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return {
      target: { kind: 'tcp', host: '127.0.0.1', port } as const,
      all: () => Buffer.concat(received),
      sockets,
      close: () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  }

  it('sends the handshake, the waiting frames, the new frames and then the stop frame', async () => {
    const { target, all, close } = await reader(control(2 - 1));
    const stream = new FrameStream({ ...options, target }, context());
    stream.add(Buffer.from('one'));
    const expected = [control(4), control(2), u32(3), Buffer.from('one')];
    await eventually('the first frame', () => all().length >= Buffer.concat(expected).length);
    stream.add(Buffer.from('two'));
    stream.close();
    expected.push(u32(3), Buffer.from('two'), control(3, Buffer.alloc(0)));
    await eventually('the end', () => all().length >= Buffer.concat(expected).length);
    assert.deepEqual(all(), Buffer.concat(expected));
    close();
  });

  it('drops and counts what is too much, and retries while no receiver listens', async () => {
    const { target, close, sockets } = await reader(control(1));
    close();
    const parts = context();
    const stream = new FrameStream({ ...options, target }, parts);
    for (const size of [900, 200, 50, 50, 1]) stream.add(Buffer.alloc(size));
    assert.equal(parts.metrics.value('nodens_dnstap_dropped_total'), 2);
    await eventually('refused', () => parts.log.records.length === 1);
    await eventually('a retry is planned', () => parts.clock.pendingTimers === 1);
    await parts.clock.advance(1_000);
    await eventually('refused again', () => parts.log.records.length === 2);
    stream.close();
    assert.equal(sockets.length, 0);
  });

  it('speaks TLS, and only to a receiver whose certificate is good, unless that is not asked for', async (t) => {
    const authority = new Authority();
    const known = getCACertificates('default');
    t.after(() => {
      authority.remove();
      setDefaultCACertificates(known);
    });
    const { target, all, close } = await reader(control(1), authority.sign('IP:127.0.0.1'));
    t.after(close);
    const sent = async (isVerified: boolean, host = '127.0.0.1') => {
      const parts = context();
      const to = { ...target, kind: 'tls', host, isVerified } as const;
      const stream = new FrameStream({ ...options, target: to }, parts);
      const before = all().length;
      stream.add(Buffer.from('one'));
      const isOver = () => all().includes('one', before) || parts.log.records.length > 0;
      await eventually('an end', isOver);
      stream.close();
      return parts.log.records[0]?.message ?? all().subarray(before).includes('one');
    };
    assert.match(String(await sent(true)), /will retry: (self-signed|unable to)/);
    assert.equal(all().length, 0, 'nothing is sent to an unknown receiver');
    assert.equal(await sent(false), true);
    setDefaultCACertificates([authority.pem]);
    assert.equal(await sent(true), true);
    assert.match(String(await sent(true, 'localhost')), /does not match certificate/);
  });

  it('connects again where a receiver does not answer, not even in TLS', async (t) => {
    const { target, close, sockets } = await reader(Buffer.alloc(0));
    t.after(close);
    const parts = context();
    const to = { ...target, kind: 'tls', isVerified: false } as const;
    new FrameStream({ ...options, target: to }, parts);
    await eventually('a connection', () => sockets.length === 1);
    await parts.clock.advance(10_000);
    await eventually('a retry is planned', () => parts.clock.pendingTimers === 1);
    assert.match(parts.log.records[0]?.message ?? '', /does not answer/);
    await parts.clock.advance(1_000);
    await eventually('another connection', () => sockets.length === 2);
  });

  it('disconnects from a receiver that does not speak Frame Streams', async () => {
    const { target, close, sockets } = await reader(Buffer.from('HTTP/1.1 400 Bad Request\r\n'));
    const parts = context();
    const stream = new FrameStream({ ...options, target }, parts);
    await eventually('told', () => parts.log.records.length === 1);
    assert.match(parts.log.records[0]?.message ?? '', /does not speak Frame Streams/);
    await eventually('closed', () => sockets[0]?.destroyed === true || sockets[0]?.closed === true);
    stream.close();
    close();
  });
});

describe('spans', () => {
  const span = {
    ...{ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), name: 'servedns' },
    ...{ startMs: 1_700_000_000_123.5, durationMs: 1.25, tags: { 'coredns.io/rcode': 'NOERROR' } },
  };

  async function collector(status: number) {
    const bodies: unknown[] = [];
    const server: HttpServer = createHttp((request, response) => {
      let text = '';
      request.on('data', (chunk) => {
        text += String(chunk);
      });
      request.on('end', () => {
        bodies.push({ path: request.url, spans: JSON.parse(text) });
        response.writeHead(status).end();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/api/v2/spans`;
    return { bodies, close: () => server.close(), url };
  }
  const limits = { service: 'nodens', backlog: 10, batch: 5, intervalMs: 10 };

  it('reach a Zipkin collector, also those from before the SDK was loaded', async () => {
    const { bodies, close, url } = await collector(202);
    const sink = createExports(context()).spans({ format: 'zipkin', url, ...limits });
    sink.add(span);
    sink.add({ ...span, spanId: 'ef'.repeat(8), parentSpanId: span.spanId, name: 'cache' });
    await eventually('a batch', () => bodies.length === 1);
    sink.close();
    close();
    const common = {
      ...{ traceId: span.traceId, timestamp: 1_700_000_000_123_500, duration: 1_250 },
      localEndpoint: { serviceName: 'nodens' },
      tags: span.tags,
    };
    assert.deepEqual(bodies, [
      {
        path: '/api/v2/spans',
        spans: [
          { ...common, id: span.spanId, name: 'servedns', kind: 'SERVER' },
          { ...common, id: 'ef'.repeat(8), name: 'cache', parentId: span.spanId },
        ],
      },
    ]);
  });

  it('reach a collector of OpenTelemetry', async () => {
    const { bodies, close, url } = await collector(200);
    const sink = createExports(context()).spans({ format: 'otlp', url, ...limits });
    sink.add({ ...span, spanId: 'ef'.repeat(8), parentSpanId: span.spanId });
    await eventually('a batch', () => bodies.length === 1);
    sink.close();
    close();
    const [{ spans }] = bodies as [{ spans: OtlpTraces }];
    const [{ resource, scopeSpans }] = spans.resourceSpans;
    assert.deepEqual(resource.attributes, [
      { key: 'service.name', value: { stringValue: 'nodens' } },
    ]);
    assert.equal(scopeSpans[0].scope.name, 'nodens');
    const { traceId, spanId, parentSpanId, startTimeUnixNano, endTimeUnixNano, attributes } =
      scopeSpans[0].spans[0];
    assert.deepEqual([traceId, spanId, parentSpanId], [span.traceId, 'ef'.repeat(8), span.spanId]);
    assert.equal(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano), 1_250_000n);
    assert.deepEqual(attributes, [{ key: 'coredns.io/rcode', value: { stringValue: 'NOERROR' } }]);
  });

  for (const format of ['zipkin', 'otlp'] as const)
    it(`that a collector of ${format} does not accept are counted`, async () => {
      const { close, url } = await collector(500);
      const parts = context();
      const sink = createExports(parts).spans({ format, url, ...limits });
      sink.add(span);
      const failures = () => parts.metrics.value('nodens_trace_export_failures_total');
      await eventually('a failure', () => failures() === 1);
      sink.close();
      close();
    });

  it('are reported with their collector, but without its password and parameters', async () => {
    const parts = context();
    const url = 'http://user:hunter2@127.0.0.1:1/v1/traces?key=hunter2';
    const sink = createExports(parts).spans({ format: 'zipkin', url, ...limits });
    sink.add(span);
    await eventually('a failure', () => parts.log.records.length > 0);
    sink.close();
    const [record] = parts.log.records;
    assert.equal(record?.fields.collector, 'http://127.0.0.1:1/v1/traces');
    assert.ok(!JSON.stringify(parts.log.records).includes('hunter2'));
  });
});

/** OTLP as JSON, what the test reads of it. */
interface OtlpTraces {
  readonly resourceSpans: readonly [
    {
      readonly resource: { readonly attributes: unknown };
      readonly scopeSpans: readonly [
        {
          readonly scope: { readonly name: string };
          readonly spans: readonly [
            Readonly<
              Record<
                'traceId' | 'spanId' | 'parentSpanId' | 'startTimeUnixNano' | 'endTimeUnixNano',
                string
              >
            > & { readonly attributes: unknown },
          ];
        },
      ];
    },
  ];
}

describe('profiles', () => {
  it('open in pprof’s tools, one of a kind at a time', async () => {
    const cpu = takeProfile('cpu', 0.2, systemClock);
    await assert.rejects(takeProfile('cpu', 1, systemClock), /another cpu profile/);
    const kept: string[] = [];
    const heap = takeProfile('heap', 0.2, systemClock);
    let isDone = false;
    const both = Promise.all([cpu, heap]).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      for (let i = 0; i < 2_000; i++) kept.push('x'.repeat(1_000) + kept.length);
      await immediate();
    }
    const [cpuProfile, heapProfile] = await both;
    for (const [profile, unit] of [
      [cpuProfile, 'nanoseconds'],
      [heapProfile, 'bytes'],
    ] as const) {
      const {
        stringTable,
        sampleType,
        sample,
        location,
        function: functions,
      } = Profile.decode(gunzipSync(profile));
      const text = (index: unknown): string => stringTable.strings[Number(index)] as string;
      assert.equal(text(sampleType[1]?.unit), unit);
      assert.ok(sample.length > 0 && location.length > 0);
      const files = functions.map(({ filename }) => text(filename));
      assert.ok(
        files.some((file) => file.endsWith('exports.test.ts')),
        files.join(),
      );
    }
    assert.ok(kept.length > 0);
  });
});
