/** A query's trace, from the spans of nodens as built to the exemplars of a real Prometheus that scrapes it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../../support/free-port.ts';
import { parseOpenMetrics } from '../../support/metrics/open-metrics.ts';
import { parsePage } from '../../support/metrics/page.ts';
import { type Prometheus, startPrometheus } from '../../support/metrics/prometheus.ts';
import { eventually } from '../../support/netns/netns.ts';
import { OperatedAgent } from '../../support/operator.ts';

const A = 1;
const DURATIONS = 'coredns_dns_request_duration_seconds';
const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';

/** Accepts spans in any format. */
class Collector {
  text = '';
  readonly #server: Server = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk;
    });
    request.on('end', () => response.end());
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

for (const format of ['otlp', 'zipkin'] as const) {
  describe(`exemplars, with spans in the format ${format}`, () => {
    const collector = new Collector();
    let address: string;
    let agent: OperatedAgent;
    let prometheus: Prometheus;

    const page = async (accept: string): Promise<{ type: string | null; text: string }> => {
      const response = await fetch(`http://${address}/metrics`, { headers: { accept } });
      return { type: response.headers.get('content-type'), text: await response.text() };
    };

    before(async () => {
      address = `127.0.0.1:${await freePort()}`;
      const endpoint = await collector.start();
      agent = new OperatedAgent({
        more: `trace ${format} ${endpoint}`,
        args: ['-metrics-listen-address', address],
      });
      agent.upstream.records.set('web.test. A', ['web.test. 300 IN A 192.0.2.7']);
      await agent.start();
      prometheus = await startPrometheus(address, 'nodens');
    });
    after(async () => {
      await prometheus.stop();
      await agent.remove();
      collector.close();
    });

    it('name traces that the collector has, for hits and for misses', async () => {
      let traceIds: string[] = [];
      await eventually('Prometheus has exemplars', async () => {
        await agent.query('web.test', A);
        await agent.query(`${performance.now()}.gone.test`, A);
        traceIds = await prometheus.traceIds(`${DURATIONS}_bucket`);
        return new Set(traceIds).size > 3;
      });
      await eventually('the collector has all', () =>
        Promise.resolve(traceIds.every((traceId) => collector.text.includes(traceId))),
      );
      assert.deepEqual(await prometheus.query('up{job="nodens"}'), [1]);
    });

    it('are on a valid page of OpenMetrics, with the same series as the other page', async () => {
      const open = await page(OPEN_METRICS);
      assert.equal(open.type, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
      const families = parseOpenMetrics(open.text);
      const exemplars = (families.get(DURATIONS)?.samples ?? []).flatMap(
        ({ exemplar }) => exemplar ?? [],
      );
      assert.ok(exemplars.length > 0);
      const { type, text } = await page('text/plain');
      assert.equal(type, 'text/plain; version=0.0.4; charset=utf-8');
      assert.doesNotMatch(text, /trace_id/);
      const names = [...parsePage(text).entries()].flatMap(([name, { type: kind, samples }]) =>
        samples.length === 0 ? [] : [kind === 'counter' ? name.replace(/_total$/, '') : name],
      );
      assert.deepEqual([...families.keys()].sort(), names.sort());
    });
  });
}
