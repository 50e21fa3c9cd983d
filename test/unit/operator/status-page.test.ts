/** The status page as text and headers; `npm run browser` shows it to a browser. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { PacedWork } from '../../../agent/base/paced-work.ts';
import { RCODE } from '../../../agent/dns/iana.ts';
import { html } from '../../../agent/operator/page/html.ts';
import { FRESH_MS, LOOK_MS, StatusPage } from '../../../agent/operator/page/status-page.ts';
import type { StatusLine } from '../../../agent/operator/protocol.ts';
import type { AnswerTimes, Status } from '../../../agent/operator/status.ts';
import { QueryWatch } from '../../../agent/operator/watch/query-watch.ts';
import { errorAnswer } from '../../../agent/query/error-answer.ts';
import type { AdminResponse } from '../../../agent/query/services/admin.ts';
import type { QueryObserver } from '../../../agent/server/dispatch.ts';
import { queryFor } from '../../support/dns/queries.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const HOSTILE = '</script><script>alert("1")</script>';

const LINE: StatusLine = {
  line: 'status',
  ...{ version: '1.2.3', pid: 7, startedAt: '2026-01-31T12:00:00Z', uptimeSeconds: 90 },
  ...{ configuration: '0123456789abcdef', isConfigurationValid: true, isReady: true },
  ...{ listeners: ['169.254.20.10:53'], notReady: [], interception: HOSTILE },
  ...{ residentBytes: 50 << 20, inFlight: 3, observers: 0 },
  cache: { bytes: 1 << 20, limitBytes: 32 << 20, answers: 10, denials: 20 },
  clientMemory: { bytes: 1_024, limitBytes: 1 << 20 },
  ...{ queries: 0, hits: 0, misses: 0, stale: 0, failures: 0, upstreams: [] },
};

function fixture(nodeName: string | undefined = undefined) {
  const clock = new FakeClock();
  const dispatcher: { observer: QueryObserver | undefined } = { observer: undefined };
  const queries = new QueryWatch(dispatcher, clock);
  const counters = { queries: 0, hits: 0, misses: 0, stale: 0, failures: 0 };
  const times = { hit: 0, slowHit: 0 };
  let made = 0;
  const status = {
    line: () => {
      made++;
      return Promise.resolve({ ...LINE, ...counters });
    },
    answerTimes: (): AnswerTimes => ({
      hit: [
        { le: 0.001, count: times.hit },
        { le: 0.002, count: times.hit + times.slowHit },
        { le: Number.POSITIVE_INFINITY, count: times.hit + times.slowHit },
      ],
      miss: [],
    }),
  } as Status;
  const endpoints = () => ['http://:9253/metrics', 'unix:/run/probe.sock:/health'];
  const page = new StatusPage({
    clock,
    work: new PacedWork(clock),
    status,
    queries,
    nodeName,
    endpoints,
  });
  const [route] = page.routes(new Set(['127.0.0.1:9254']));
  const respond = async (host?: string): Promise<AdminResponse> =>
    (await route?.handler(new URLSearchParams(), host)) as AdminResponse;
  return {
    ...{ clock, dispatcher, counters, times, page, respond },
    get: async (): Promise<string> => textOf(await respond()),
    ask: (name: string): void => {
      const query = queryFor(name, 'A');
      void dispatcher.observer?.follow(query, () => errorAnswer(query, RCODE.NXDOMAIN));
    },
    made: () => made,
  };
}

/** The page's text. */
function textOf({ body }: AdminResponse): string {
  return Buffer.concat(body as readonly Uint8Array[]).toString();
}

/** Value of the tile `name`. */
function tile(page: string, name: string): string | undefined {
  return new RegExp(`<dt>${name}</dt><dd>([^<]*)</dd>`).exec(page)?.[1];
}

describe('status page', () => {
  it('has rates since the page before, without a script', async () => {
    const { clock, counters, times, get } = fixture();
    await get();
    Object.assign(counters, { queries: 100, hits: 60, misses: 20, stale: 5, failures: 10 });
    Object.assign(times, { hit: 98, slowHit: 2 });
    await clock.advance(10_000);
    const page = await get();
    assert.equal(tile(page, 'queries a second'), '10');
    assert.equal(tile(page, 'hits'), '75.0%');
    assert.equal(tile(page, 'SERVFAIL a second'), '1.0');
    assert.equal(tile(page, 'cache'), '1.0 MiB of 32 MiB');
    // 98 of 100 within 1 ms, the others within 2: linear within the bucket.
    assert.equal(tile(page, 'hit p50 / p99'), '0.51ms / 1.50ms');
    assert.equal(tile(page, 'miss p50 / p99'), '- / -');
  });

  it('draws the last hour, one point a minute, and no more', async () => {
    const { clock, counters, get } = fixture();
    for (let minute = 0; minute < 90; minute++) {
      counters.queries += minute === 80 ? 6_000 : 600;
      await clock.advance(60_000);
    }
    const [, first = ''] = /<path class="a" d="([^"]*)"/.exec(await get()) ?? [];
    assert.equal(first.match(/[ML]/g)?.length, 60);
    assert.match(first, /^M0\.0 /);
    assert.match(first, /L600\.0 [\d.]+$/);
    assert.match(await get(), /top: 100</);
  });

  it('escapes every name, in text and in attributes', async () => {
    const { clock, ask, get } = fixture(HOSTILE);
    await get();
    ask('<script>alert(1)</script>.test.');
    ask('"><img src=x onerror=alert(2)>.test.');
    await clock.advance(5_000);
    const page = await get();
    assert.match(page, /&lt;script&gt;alert\\\(1\\\)&lt;\/script&gt;\.test\. A/);
    assert.match(page, /&quot;&gt;&lt;img/);
    assert.equal(page.match(/<script>/g)?.length, 1, 'its own');
    assert.doesNotMatch(page, /<img/);
    assert.equal(html`<a href="${`"'<&`}">`.text, '<a href="&quot;&#39;&lt;&amp;">');
  });

  it('allows its own style and script by their hashes, and nothing from elsewhere', async () => {
    const { respond } = fixture();
    const response = await respond();
    const { headers, contentType } = response;
    const body = textOf(response);
    assert.equal(contentType, 'text/html; charset=utf-8');
    const policy = headers?.['Content-Security-Policy'] ?? '';
    assert.match(policy, /^default-src 'none'; /);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    for (const tag of ['style', 'script']) {
      const [, text = ''] = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(body) ?? [];
      const hash = createHash('sha256').update(text).digest('base64');
      assert.ok(policy.includes(`${tag}-src 'sha256-${hash}'`), tag);
    }
    assert.doesNotMatch(body, / style=| on[a-z]+=| src=|url\(|@import|<link/);
    assert.ok(body.length < 16_000, `${body.length} bytes`);
  });

  it('answers to addresses and localhost only: a name may be that of another site', async () => {
    const { respond } = fixture();
    for (const host of ['127.0.0.1:9254', 'localhost:18080', '10.0.0.7', '[::1]:9254', undefined])
      assert.equal((await respond(host)).status, 200, host);
    for (const host of [
      'evil.test',
      'evil.test:9254',
      'localhost.evil.test',
      '127.0.0.1.evil.test',
      '',
    ])
      assert.equal((await respond(host)).status, 421, host);
  });

  it('names the other endpoints, which its script links to where the browser is', async () => {
    const page = await fixture().get();
    assert.match(page, /<li data-at=":9253\/metrics">http:\/\/:9253\/metrics<\/li>/);
    assert.match(page, /<li>unix:\/run\/probe\.sock:\/health<\/li>/);
  });

  it('is the same object for all who ask, so that it is compressed once', async () => {
    const { clock, respond } = fixture();
    const { body } = await respond('127.0.0.1:9254');
    for (const host of ['127.0.0.2', '[::1]:9254', undefined])
      assert.equal((await respond(host)).body, body);
    await clock.advance(FRESH_MS);
    assert.notEqual((await respond()).body, body);
  });

  it('looks at queries while it is shown, and is made once a second at most', async () => {
    const { clock, dispatcher, get, ask, made } = fixture();
    assert.equal(dispatcher.observer, undefined);
    assert.match(await get(), /a moment/);
    assert.notEqual(dispatcher.observer, undefined);
    ask('a.test.');
    const before = made();
    await get();
    assert.equal(made(), before, 'the same page');
    await clock.advance(FRESH_MS);
    assert.match(await get(), /a\.test\. A/);
    await clock.advance(LOOK_MS);
    assert.equal(dispatcher.observer, undefined);
  });

  it('runs nothing without the directive, and forgets the hour', async () => {
    const { clock, dispatcher, page, get } = fixture();
    await get();
    page.routes(new Set());
    assert.equal(clock.pendingTimers, 0);
    assert.equal(dispatcher.observer, undefined);
    await clock.advance(600_000);
    assert.equal(page.routes(new Set([':9254']))[0]?.path, '/');
    assert.equal(clock.pendingTimers, 1);
  });

  it('is made in steps of a few rows', async () => {
    const upstreams = Array.from({ length: 100 }, (_, i) => ({
      ...{ group: 'g', to: `192.0.2.${i}:53`, state: 'up', queries: 1, failures: 0 },
      ...{ connections: 1, replies: 1, repliesMs: 1, latencyMs: 1 },
    }));
    const { clock, get, counters } = fixture();
    Object.assign(counters, { upstreams });
    let looks = 0;
    const nowMs = clock.nowMs.bind(clock);
    clock.nowMs = () => {
      looks++;
      return nowMs();
    };
    assert.match(await get(), /192\.0\.2\.99:53/);
    // One look at the clock between two steps: four charts, and 100 rows by 16.
    assert.ok(looks > 10, `${looks} looks at the clock`);
  });
});
