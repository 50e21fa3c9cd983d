/** The status page as HTML. */
import { duration, milliseconds, percent, rate, size } from '../../base/text/amounts.ts';
import type { HeavyLine, StatusLine } from '../protocol.ts';
import { upstreamRows } from '../upstream-rows.ts';
import type { Taken } from '../watch/query-sample.ts';
import { SCRIPT, STYLE } from './assets.ts';
import { chart } from './chart.ts';
import { Html, html } from './html.ts';
import type { Interval } from './minutes.ts';

/** Clients and names of the last seconds, with the length of that time. */
export type Heavy = Taken & { readonly seconds: number };

/** What the page shows. */
export interface Picture {
  readonly status: StatusLine;
  readonly nodeName: string | undefined;
  readonly endpoints: readonly string[];
  readonly rates: Interval;
  readonly times: Interval;
  readonly hour: readonly Interval[];
  /** Undefined while there is none yet. */
  readonly heavy: Heavy | undefined;
}

const SHOWN = 20;
const ROWS_AT_ONCE = 16;
const NAME_CHARS = 80;
const MEBIBYTE = 1_024 * 1_024;

/** The whole page, in short steps. */
export function* pageSteps(picture: Picture): Iterator<void, string, void> {
  const { nodeName, status, heavy } = picture;
  const numbers = numbersOf(picture);
  yield;
  const charts: Html[] = [];
  for (const one of chartsOf(picture.hour)) {
    charts.push(one);
    yield;
  }
  const upstreams: Html[] = [];
  for (const row of upstreamsOf(status)) {
    upstreams.push(row);
    if (upstreams.length % ROWS_AT_ONCE === 0) yield;
  }
  yield;
  const clients = heavyOf(heavy);
  yield;
  const title = nodeName === undefined ? 'nodens' : `nodens on ${nodeName}`;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<style>${new Html(STYLE)}</style></head>
<body><p id="old" role="alert">The agent does not answer: these numbers are old.</p>
<main><h1>${title}</h1>
${headOf(status)}
${numbers}
<div class="charts">
${charts}</div>
<h2>Upstreams</h2>
${tableOfUpstreams(upstreams)}
${clients}
<h2>Endpoints of this agent</h2>
<ul>${picture.endpoints.map(endpointOf)}</ul>
</main>
<script>${new Html(SCRIPT)}</script>
</body></html>
`;
  return page.text;
}

function headOf(status: StatusLine): Html {
  const ready = status.isReady
    ? html`<span class="good">ready</span>`
    : html`<span class="bad">not ready: ${status.notReady.join(', ')}</span>`;
  const refused = status.isConfigurationValid
    ? html``
    : html`, <span class="bad">the Corefile on disk is refused</span>`;
  return html`<p>${ready}${refused}, interception: ${status.interception},
version ${status.version}, up ${duration(status.uptimeSeconds)}</p>
<p class="dim">configuration ${status.configuration}, listening on ${status.listeners.join(', ') || 'nothing'}</p>`;
}

function numbersOf({ status, rates, times }: Picture): Html {
  const { cache } = status;
  const answered = rates.hits + rates.misses;
  const numbers: readonly (readonly [string, string])[] = [
    ['queries a second', rate(rates.queries)],
    ['hits', percent(rates.hits, answered)],
    ['misses a second', rate(rates.misses)],
    ['stale a second', rate(rates.stale)],
    ['SERVFAIL a second', rate(rates.failures)],
    ['hit p50 / p99', `${milliseconds(times.hitP50Ms)} / ${milliseconds(times.hitP99Ms)}`],
    ['miss p50 / p99', `${milliseconds(times.missP50Ms)} / ${milliseconds(times.missP99Ms)}`],
    ['cache', `${size(cache.bytes)} of ${size(cache.limitBytes)}`],
    ['answers / denials', `${cache.answers} / ${cache.denials}`],
    ['waiting queries', String(status.inFlight)],
    ['memory of clients', size(status.clientMemory.bytes)],
    ['resident memory', size(status.residentBytes)],
  ];
  return html`<dl>${numbers.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function* chartsOf(hour: readonly Interval[]): Iterable<Html> {
  const of = (field: keyof Interval, divisor = 1) =>
    hour.map((interval) => {
      const value = interval[field];
      return value === undefined ? undefined : value / divisor;
    });
  const mebibytes = (value: number): string => `${value.toFixed(1)} MiB`;
  yield chart(
    'Queries a second',
    [
      { label: 'all', color: 'a', values: of('queries') },
      { label: 'misses', color: 'b', values: of('misses') },
    ],
    rate,
    1,
  );
  yield chart(
    'Answers that are not fresh, a second',
    [
      { label: 'stale', color: 'a', values: of('stale') },
      { label: 'SERVFAIL', color: 'b', values: of('failures') },
    ],
    rate,
    1,
  );
  yield chart(
    'Time of 99 % of answers',
    [
      { label: 'hits', color: 'a', values: of('hitP99Ms') },
      { label: 'misses', color: 'b', values: of('missP99Ms') },
    ],
    milliseconds,
    0.1,
  );
  yield chart(
    'Memory',
    [
      { label: 'resident', color: 'a', values: of('residentBytes', MEBIBYTE) },
      { label: 'cache', color: 'b', values: of('cacheBytes', MEBIBYTE) },
    ],
    mebibytes,
    1,
  );
}

function* upstreamsOf({ upstreams }: StatusLine): Iterable<Html> {
  for (const one of upstreamRows(upstreams))
    yield html`<tr><td>${one.to}</td><td class="${one.state === 'up' ? 'good' : 'bad'}">${one.state}</td>
<td>${milliseconds(one.latencyMs)}</td><td>${one.queries}</td><td>${one.failures}</td><td>${one.connections}</td></tr>`;
}

function tableOfUpstreams(rows: readonly Html[]): Html {
  if (rows.length === 0) return html`<p class="dim">none</p>`;
  return html`<div class="scroll"><table>
<tr><th>address</th><th>state</th><th>mean time</th><th>queries</th><th>failures</th><th>open</th></tr>
${rows}</table></div>
<p class="dim">mean time, queries and failures: since the start of the agent</p>`;
}

function heavyOf(heavy: Heavy | undefined): Html {
  if (heavy === undefined)
    return html`<h2>Clients and names</h2><p class="dim">They are looked at while this page is shown: a moment.</p>`;
  const { clients, names, seconds, sampledOf } = heavy;
  const sampled = sampledOf === 1 ? html`` : html`, from one of ${sampledOf} queries`;
  return html`<h2>Clients</h2>${tableOf('client', clients, seconds)}
<h2>Names</h2>${tableOf('name', names, seconds)}
<p class="dim">of the last ${duration(seconds)}${sampled}</p>`;
}

function tableOf(what: string, lines: readonly HeavyLine[], seconds: number): Html {
  if (lines.length === 0) return html`<p class="dim">none</p>`;
  const rows = lines.slice(0, SHOWN).map(
    ({ key, queries, hits, nxdomain, failures }) =>
      html`<tr><td>${shortened(key)}</td><td>${rate(queries / seconds)}</td><td>${percent(hits, queries)}</td>
<td>${percent(nxdomain, queries)}</td><td>${percent(failures, queries)}</td></tr>`,
  );
  return html`<div class="scroll"><table>
<tr><th>${what}</th><th>queries/s</th><th>hits</th><th>NXDOMAIN</th><th>failures</th></tr>
${rows}</table></div>`;
}

/** A name that is too long loses its middle: both ends tell names apart. */
function shortened(name: string): string {
  if (name.length <= NAME_CHARS) return name;
  return `${name.slice(0, NAME_CHARS / 2)}…${name.slice(1 - NAME_CHARS / 2)}`;
}

/** A link, except to a socket. The script makes one for an endpoint on every address: the browser knows where it is. */
function endpointOf(url: string): Html {
  if (!url.startsWith('http://')) return html`<li>${url}</li>`;
  if (url.startsWith('http://:'))
    return html`<li data-at="${url.slice('http://'.length)}">${url}</li>`;
  return html`<li><a href="${url}">${url}</a></li>`;
}
