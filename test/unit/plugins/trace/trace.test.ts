import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, DnsError } from '../../../../agent/base/errors.ts';
import { RCODE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/trace/setup.ts';
import { compose, type Plugin } from '../../../../agent/query/plugin.ts';
import type { SpanExportOptions } from '../../../../agent/query/services/exports.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { CLIENT, NextSpy, queryFor } from '../../../support/dns/queries.ts';
import { RecordingMetrics } from '../../../support/server/fixture.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

function tracing(text = 'trace') {
  let seed = 0;
  const asked: SpanExportOptions[] = [];
  const base = fakeServices({ random: () => (seed += 0.001) });
  const services: FakeServices = {
    ...base,
    exports: {
      ...base.exports,
      spans: (options) => {
        asked.push(options);
        return base.exports.spans(options);
      },
    },
  };
  const { directive, block } = parseDirective(text);
  const plugin = setup(directive, block, services);
  plugin.start?.();
  return { plugin, asked, spans: base.spans, clock: base.clock };
}

const late: Plugin = { name: 'late', handle: async (query, next) => await next(query) };
const through: Plugin = { name: 'through', handle: (query, next) => next(query) };

describe('trace', () => {
  it('creates a span of the chain and one of each plugin, nested', async () => {
    const { plugin, spans } = tracing();
    const query = queryFor('www.example.org', 'AAAA');
    query.metadata = new Map();
    await compose([plugin, through, late], new NextSpy().handler)(query);
    assert.deepEqual(
      spans.map(({ name }) => name),
      ['late', 'through', 'servedns'],
    );
    const [last, middle, root] = spans;
    assert.equal(last?.parentSpanId, middle?.spanId);
    assert.equal(middle?.parentSpanId, root?.spanId);
    assert.equal(root?.parentSpanId, undefined);
    assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
    assert.match(root?.traceId ?? '', /^[0-9a-f]{32}$/);
    assert.match(root?.spanId ?? '', /^[0-9a-f]{16}$/);
    assert.equal(query.metadata.get('trace/traceid'), root?.traceId);
    assert.deepEqual(root?.tags, {
      'coredns.io/name': 'www.example.org.',
      'coredns.io/type': 'AAAA',
      'coredns.io/proto': 'udp',
      'coredns.io/remote': CLIENT.address,
      'coredns.io/rcode': 'NOERROR',
    });
  });

  it('gives its trace to the counters of the query, and to none of others', () => {
    const { plugin, spans, clock } = tracing('trace {\nevery 2\n}');
    const chain = compose([plugin], new NextSpy().handler);
    const metrics = new RecordingMetrics();
    for (const requestMetrics of [metrics, metrics, undefined, undefined]) {
      const query = queryFor('a', 'A');
      query.requestMetrics = requestMetrics;
      void chain(query);
    }
    assert.deepEqual(metrics.traces, [[spans[0]?.traceId, clock.wallMs()]]);
  });

  it('an immediate answer stays immediate, and a failure too', () => {
    const { plugin, spans } = tracing();
    const next = new NextSpy();
    assert.equal(compose([plugin, through], next.handler)(queryFor('a', 'A')), next.answer);
    const failing = compose([plugin, through], () => {
      throw new DnsError(RCODE.REFUSED, 'no');
    });
    assert.throws(() => failing(queryFor('a', 'A')), DnsError);
    assert.equal(spans.at(-1)?.tags['coredns.io/rcode'], 'REFUSED');
  });

  it('traces one query in every N, and none of the agent’s own', () => {
    const { plugin, spans } = tracing('trace {\nevery 3\n}');
    const chain = compose([plugin, through], new NextSpy().handler);
    for (let i = 0; i < 7; i++) void chain(queryFor('a', 'A'));
    assert.equal(spans.filter(({ name }) => name === 'servedns').length, 2);
    const own = queryFor('a', 'A');
    own.isInternal = true;
    for (let i = 0; i < 7; i++) void chain(own);
    assert.equal(spans.length, 4);
  });

  it('has CoreDNS’s defaults and options', () => {
    const defaults = { service: 'coredns', backlog: 1_000, batch: 100, intervalMs: 1_000 };
    const url = (text: string) => tracing(text).asked[0]?.url;
    assert.deepEqual(tracing().asked, [
      { format: 'zipkin', url: 'http://localhost:9411/api/v2/spans', ...defaults },
    ]);
    assert.equal(url('trace zipkin'), 'http://localhost:9411/api/v2/spans');
    assert.equal(url('trace a:1'), 'http://a:1/api/v2/spans');
    assert.equal(url('trace zipkin https://a/b'), 'https://a/b');
    const { asked } = tracing(`trace {
      service x
      client_server
      zipkin_max_backlog_size 7
      zipkin_max_batch_size 3
      zipkin_max_batch_interval 2s
    }`);
    assert.deepEqual(asked, [
      {
        ...{ format: 'zipkin', url: 'http://localhost:9411/api/v2/spans', service: 'x' },
        ...{ backlog: 7, batch: 3, intervalMs: 2_000 },
      },
    ]);
  });

  it('sends OTLP to its usual port and path', () => {
    const asked = (text: string) => tracing(text).asked[0];
    assert.equal(asked('trace otlp')?.format, 'otlp');
    for (const [endpoint, url] of [
      ['', 'http://localhost:4318/v1/traces'],
      ['a:1', 'http://a:1/v1/traces'],
      ['http://a:4318', 'http://a:4318/v1/traces'],
      ['https://a/', 'https://a/v1/traces'],
      ['https://a/own/path', 'https://a/own/path'],
      ['http://[fd00::1]:4318', 'http://[fd00::1]:4318/v1/traces'],
    ])
      assert.equal(asked(`trace otlp ${endpoint}`)?.url, url, endpoint);
  });

  it('takes a host without a port for Zipkin, as CoreDNS does', () => {
    assert.equal(tracing('trace collector').asked[0]?.url, 'http://collector/api/v2/spans');
  });

  for (const text of [
    'trace otlp a b',
    'trace otlp "a b"',
    'trace oltp',
    'trace otlp ftp://a:1',
    'trace otlp collector',
    'trace zipkin ftp://a:1',
    'trace datadog',
    'trace datadog localhost:8126',
    'trace {\ndatadog_analytics_rate 0.5\n}',
    'trace jaeger localhost:1',
    'trace zipkin a b',
    'trace zipkin "a b"',
    'trace {\nevery 0\n}',
    'trace {\nnope\n}',
  ]) {
    it(`refused: ${text.replaceAll('\n', ' ')}`, () =>
      assert.throws(() => tracing(text), ConfigError));
  }
});
