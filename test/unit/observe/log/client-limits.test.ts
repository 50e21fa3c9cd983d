import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientKey } from '../../../../agent/base/clients/client-key.ts';
import { clientLimits } from '../../../../agent/observe/log/client-limits.ts';
import { DEDUPLICATION_WINDOW_MS } from '../../../../agent/observe/log/deduplication.ts';
import { createLogger } from '../../../../agent/observe/log/log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { ReadableMetrics } from '../../../support/services.ts';

const address = (i: number): string => `10.0.${i >> 8}.${i & 0xff}`;

function setUp() {
  const lines: Record<string, unknown>[] = [];
  const clock = new FakeClock();
  const writeLine = (line: string): void => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
  };
  const metrics = new ReadableMetrics();
  const limited = clientLimits(metrics, createLogger({ level: 'info', writeLine, clock }));
  return { lines, clock, metrics, limited };
}

describe('clients that are limited', () => {
  it('have a line each, however often other clients are limited', () => {
    const { lines, limited } = setUp();
    for (let i = 0; i < 100; i++) limited('queries', clientKey('10.0.0.1'));
    limited('queries', clientKey('10.0.0.2'));
    for (let i = 0; i < 100; i++) limited('queries', clientKey('10.0.0.1'));
    assert.deepEqual(
      lines.map(({ event, what, client }) => [event, what, client]),
      [
        ['client-limited', 'queries', '10.0.0.1'],
        ['client-limited', 'queries', '10.0.0.2'],
      ],
    );
  });

  it('are logged with a remedy', () => {
    const { lines, limited } = setUp();
    const whats = ['queries', 'memory', 'connections', 'nonsense', 'unread'] as const;
    for (const what of whats) limited(what, clientKey('10.0.0.1'));
    for (const what of ['http', 'http_slow', 'http_nonsense'] as const) limited(what, '');
    assert.equal(lines.length, 8);
    for (const { remedy } of lines) assert.match(String(remedy), /^[a-z].{10,}$/);
  });

  it('cause few lines and series, however many clients are limited', async () => {
    const { lines, clock, metrics, limited } = setUp();
    const name = 'nodens_client_limited_total';
    for (let i = 0; i < 5_000; i++) limited('memory', clientKey(address(i)));
    await clock.advance(DEDUPLICATION_WINDOW_MS);
    assert.ok(lines.length < 50, `${lines.length} lines`);
    assert.equal(metrics.value(name, { what: 'memory', client: address(0) }), 1);
    assert.ok(metrics.value(name, { what: 'memory', client: 'other' }) > 4_900);
  });
});
