/** The screen of `nodens top`: it fits 80 columns, and its keys do what its last line says. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { History } from '../../../agent/cli/commands/top/history.ts';
import { afterInput, FIRST_VIEW } from '../../../agent/cli/commands/top/keys.ts';
import { screenLines, type View } from '../../../agent/cli/commands/top/screen.ts';
import type { StatusLine, TopLine } from '../../../agent/operator/protocol.ts';

const STATUS: StatusLine = {
  line: 'status',
  version: '1.2.3',
  pid: 1,
  startedAt: '2026-01-01T00:00:00.000Z',
  uptimeSeconds: 3_700,
  configuration: 'abc',
  isConfigurationValid: true,
  listeners: ['127.0.0.1:53'],
  isReady: true,
  notReady: [],
  interception: 'intercepting',
  residentBytes: 60_000_000,
  cache: { bytes: 1_000_000, limitBytes: 32_000_000, answers: 10, denials: 2 },
  clientMemory: { bytes: 0, limitBytes: 1 },
  inFlight: 1,
  observers: 1,
  queries: 1_000,
  hits: 900,
  misses: 100,
  stale: 0,
  failures: 0,
  upstreams: [
    {
      group: 'forward',
      to: '10.96.0.10:53',
      state: 'up',
      queries: 100,
      failures: 0,
      connections: 2,
      repliesMs: 200,
      replies: 100,
    },
    {
      group: 'forward',
      to: '[2001:db8::1]:53',
      state: 'down',
      queries: 5,
      failures: 5,
      connections: 0,
      repliesMs: 0,
      replies: 0,
    },
  ],
};

function picture(overrides: Partial<TopLine> = {}): TopLine {
  const [up, down] = STATUS.upstreams as [StatusLine['upstreams'][0], StatusLine['upstreams'][0]];
  return {
    line: 'top',
    status: {
      ...STATUS,
      queries: 3_000,
      hits: 2_800,
      misses: 200,
      upstreams: [{ ...up, queries: 300, replies: 300, repliesMs: 800 }, down],
    },
    elapsedMs: 2_000,
    sampledOf: 1,
    clients: [
      { key: '10.0.0.7', queries: 100, hits: 50, nxdomain: 80, failures: 0 },
      { key: '10.0.0.8', pod: 'shop/web-0', queries: 40, hits: 40, nxdomain: 0, failures: 4 },
    ],
    names: [
      {
        key: `${'long-label.'.repeat(20)}test. AAAA`,
        queries: 10,
        hits: 10,
        nxdomain: 0,
        failures: 0,
      },
      { key: 'web.test. A', queries: 9, hits: 9, nxdomain: 0, failures: 0 },
    ],
    hitMs: { p50: 0.031, p99: 0.2 },
    missMs: { p50: 1.5, p99: 20 },
    events: ['first', 'upstream down', 'cache\u001b flushed'].map((message) => ({
      ...{ time: '2026-01-01T12:03:04.000Z', level: 'warn', event: 'upstream-down', message },
    })),
    ...overrides,
  };
}

function shown(view: View = FIRST_VIEW, columns = 80, rows = 24): readonly string[] {
  const history = new History(STATUS);
  history.add(picture());
  return screenLines(history, view, columns, rows);
}

describe('the screen', () => {
  it('has rates of the last interval, latencies and upstreams, the worst first', () => {
    const text = shown().join('\n');
    assert.match(text, /^nodens 1\.2\.3, up 1h01m, ready, intercepting$/m);
    assert.match(text, /^queries 1000\/s {3}hits 95\.0% {3}misses 50\/s/m);
    assert.match(text, /^hit p50 0\.03ms p99 0\.20ms {3}miss p50 1\.50ms p99 20\.0ms$/m);
    const upstreams = shown().filter((line) => line.includes(':53 '));
    assert.match(upstreams[0] ?? '', /^\[2001:db8::1\]:53 +down +- +0 +0 +0$/);
    assert.match(upstreams[1] ?? '', /^10\.96\.0\.10:53 +up +3\.00ms +100 +0 +2$/);
  });

  for (const [columns, rows] of [
    [80, 24],
    [80, 10],
    [40, 24],
    [200, 60],
  ] as const)
    it(`fits ${columns} columns and ${rows} rows, without any escape`, () => {
      const lines = shown(FIRST_VIEW, columns, rows);
      assert.ok(lines.length <= rows, String(lines.length));
      assert.ok(lines.every((line) => line.length <= columns));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
      assert.doesNotMatch(lines.join(''), /[\u0000-\u001f]/);
    });

  it('has the last events: three where there is room, else one', () => {
    const events = (rows: number) =>
      shown(FIRST_VIEW, 80, rows).filter((line) =>
        line.startsWith('12:03:04 warn upstream-down: '),
      );
    assert.equal(events(24).length, 1);
    assert.match(events(24)[0] ?? '', /cache {2}flushed$/);
    assert.equal(events(40).length, 3);
  });

  it('shows both ends of a long name', () => {
    const line = shown().find((text) => text.includes('…')) ?? '';
    assert.match(line, /^long-label\.[^ ]*…[^ ]*test\. AAAA +/);
  });

  it('adds up several pictures, so that a list does not flicker', () => {
    const history = new History(STATUS);
    history.add(picture());
    history.add(picture({ clients: [] }));
    const [first] = history.heaviest('clients', 'queries', '');
    assert.deepEqual([first?.key, first?.queries], ['10.0.0.7', 25]);
  });

  it('says that it waits, before the first picture', () => {
    const lines = screenLines(new History(STATUS), FIRST_VIEW, 80, 24);
    assert.match(lines[0] ?? '', /waiting/);
  });
});

describe('keys', () => {
  const after = (...keys: string[]): View | undefined =>
    keys.reduce<View | undefined>((view, key) => view && afterInput(view, key), FIRST_VIEW);

  it('sort', () => {
    const view = after('s', 's', 's') as View;
    assert.equal(view.sort, 'failures');
    const clients = shown(view).filter((line) => /^(10\.0\.0|shop)/.test(line));
    assert.match(clients[0] ?? '', /^shop\/web-0 /);
    assert.equal(after('s', 's', 's', 's')?.sort, 'queries');
  });

  it('filter', () => {
    const view = after('/', 'W', 'e', 'x', '\u007f', 'b', '\u001b[A', '\r') as View;
    assert.deepEqual([view.filter, view.isTyping], ['web', false]);
    const text = shown(view).join('\n');
    assert.match(text, /^web\.test\. A/m);
    assert.doesNotMatch(text, /long-label|10\.0\.0\.7/);
    assert.equal(after('/', 'a', '\u001b')?.filter, '');
    assert.match(shown(after('/', 'q')).at(-1) ?? '', /^filter: q_/);
  });

  it('flush: the name on top is suggested, and nothing happens without Enter', () => {
    const typed = (...keys: string[]) =>
      keys.reduce<View | undefined>(
        (view, key) => view && afterInput(view, key, 'web.test.'),
        FIRST_VIEW,
      );
    assert.equal(typed('f')?.flushing, 'web.test.');
    assert.match(shown(typed('f')).at(-1) ?? '', /^flush: web\.test\._ {3}\(Enter/);
    assert.equal(typed('f', '\r')?.toFlush, 'web.test.');
    assert.equal(typed('f', '\u007f', 'x', 'q', '\r')?.toFlush, 'web.testxq');
    // Who types a name does not flush one that begins with the suggestion.
    assert.equal(typed('f', 'x', 'q', '\r')?.toFlush, 'xq');
    for (const view of [typed('f'), typed('f', '\u001b'), typed('f', ...'\u007f'.repeat(20), '\r')])
      assert.equal(view?.toFlush, undefined);
    assert.equal(typed('f', '\u0003'), undefined);
  });

  it('filter finds a client by its pod', () => {
    const text = shown(after('/', 's', 'h', 'o', 'p', '\r') as View).join('\n');
    assert.match(text, /^shop\/web-0 /m);
    assert.doesNotMatch(text, /^10\.0\.0\.7/m);
  });

  it('pause and quit', () => {
    assert.equal(after('p')?.isPaused, true);
    assert.equal(after('p', 'p')?.isPaused, false);
    assert.equal(after('q'), undefined);
    assert.equal(after('/', '\u0003'), undefined);
    assert.equal(after('x'), FIRST_VIEW);
    assert.deepEqual(after('ps/ab\r'), { ...after('p', 's', '/', 'a', 'b', '\r') });
  });
});
