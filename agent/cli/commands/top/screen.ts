/** The screen of `nodens top` as lines of text: it needs neither colour nor more than 80 columns. */
import { duration, milliseconds, percent, rate, size } from '../../../base/text/amounts.ts';
import type { HeavyLine, LoggedEvent } from '../../../operator/protocol.ts';
import type { History, Sort } from './history.ts';

/** What the keys have chosen. */
export interface View {
  readonly sort: Sort;
  readonly filter: string;
  readonly isPaused: boolean;
  /** Whether the filter is being typed. */
  readonly isTyping: boolean;
  /** The name to flush while it is being typed; undefined otherwise. */
  readonly flushing: string | undefined;
  /** Whether that name is a suggestion that no key has touched. */
  readonly isSuggested: boolean;
  /** A name that is to be flushed now. */
  readonly toFlush: string | undefined;
  /** Shown in place of the keys: what became of a flush. */
  readonly note: string;
}

/** Lines besides upstreams, clients and names. */
const FRAME_LINES = 11;
const MAX_UPSTREAMS = 4;
const MAX_EVENTS = 3;
/** Rows of a terminal with room for so many. */
const TALL_ROWS = 30;
const NUMBER_COLUMNS = 42;

/** At most `rows` lines of at most `columns` characters. */
export function screenLines(
  history: History,
  view: View,
  columns: number,
  rows: number,
): readonly string[] {
  const upstreams = upstreamLines(history);
  const events = eventLines(history.latest?.events ?? [], rows);
  const left = Math.max(2, rows - FRAME_LINES - upstreams.length - events.length);
  const clients = Math.max(1, Math.min(Math.floor(left / 2), 10));
  const lines = [
    ...headLines(history),
    '',
    heading('UPSTREAM', columns, ['STATE', 'LATENCY', 'QUERY/s', 'FAIL/s', 'OPEN']),
    ...upstreams.map(({ name, cells }) => row(name, columns, cells)),
    '',
    heading('CLIENT', columns, HEAVY_HEAD),
    ...heavyLines(history.heaviest('clients', view.sort, view.filter), clients, columns),
    '',
    heading('NAME', columns, HEAVY_HEAD),
    ...heavyLines(history.heaviest('names', view.sort, view.filter), left - clients, columns),
    ...events,
  ];
  const body = lines.slice(0, Math.max(0, rows - 1));
  return [...body, footLine(view)].map((line) => line.slice(0, columns));
}

function headLines(history: History): string[] {
  const { latest, rates } = history;
  if (latest === undefined || rates === undefined) return ['waiting for the first picture …'];
  const { status, hitMs, missMs, sampledOf } = latest;
  const { cache } = status;
  const validity = status.isConfigurationValid ? '' : ', COREFILE REFUSED';
  const ready = status.isReady ? 'ready' : `NOT READY: ${status.notReady.join(', ')}`;
  const sampled = sampledOf === 1 ? '' : `   (1 of ${sampledOf} queries sampled)`;
  return [
    `nodens ${status.version}, up ${duration(status.uptimeSeconds)}, ${ready}, ${status.interception}${validity}`,
    `queries ${rate(rates.queries)}/s   hits ${percent(rates.hits, rates.hits + rates.misses)}   ` +
      `misses ${rate(rates.misses)}/s   stale ${rate(rates.stale)}/s   SERVFAIL ${rate(rates.failures)}/s`,
    `hit p50 ${milliseconds(hitMs.p50)} p99 ${milliseconds(hitMs.p99)}   ` +
      `miss p50 ${milliseconds(missMs.p50)} p99 ${milliseconds(missMs.p99)}${sampled}`,
    `cache ${size(cache.bytes)} of ${size(cache.limitBytes)}, ${cache.answers} answers, ` +
      `${cache.denials} denials   in flight ${status.inFlight}   memory ${size(status.residentBytes)}`,
  ];
}

function upstreamLines(history: History): { name: string; cells: string[] }[] {
  const worst = history.upstreams.toSorted(
    (a, b) =>
      Number(a.state === 'up') - Number(b.state === 'up') ||
      b.failures - a.failures ||
      b.queries - a.queries,
  );
  return worst.slice(0, MAX_UPSTREAMS).map((one) => ({
    name: one.to,
    cells: [
      one.state,
      milliseconds(one.latencyMs),
      rate(one.queries),
      rate(one.failures),
      String(one.connections),
    ],
  }));
}

const HEAVY_HEAD = ['QUERY/s', 'HIT', 'NXDOMAIN', 'FAIL'];

/** One line where there is little room; none of an agent that is older than this program. */
function eventLines(events: readonly LoggedEvent[], rows: number): string[] {
  const shown = events
    .slice(rows >= TALL_ROWS ? -MAX_EVENTS : -1)
    .map(({ time, level, event, message }) => {
      const name = event === undefined ? '' : `${event}: `;
      return printable(`${time.slice(11, 19)} ${level} ${name}${message}`);
    });
  return shown.length === 0 ? [] : ['', ...shown];
}

/** A message may quote what a client or a file has sent. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ');
}

function heavyLines(all: readonly HeavyLine[], count: number, columns: number): string[] {
  return all
    .slice(0, Math.max(0, count))
    .map(({ key, pod, queries, hits, nxdomain, failures }) =>
      row(pod ?? key, columns, [
        rate(queries),
        percent(hits, queries),
        percent(nxdomain, queries),
        percent(failures, queries),
      ]),
    );
}

function heading(name: string, columns: number, cells: readonly string[]): string {
  return row(name, columns, cells);
}

/** A name that is too long loses its middle: both ends tell names apart. */
function row(name: string, columns: number, cells: readonly string[]): string {
  const width = Math.max(16, columns - NUMBER_COLUMNS);
  const half = Math.floor((width - 1) / 2);
  const short =
    name.length <= width ? name : `${name.slice(0, width - 1 - half)}…${name.slice(-half)}`;
  const cellWidth = Math.floor(NUMBER_COLUMNS / cells.length);
  return short.padEnd(width) + cells.map((cell) => cell.padStart(cellWidth)).join('');
}

function footLine({ sort, filter, isPaused, isTyping, flushing, note }: View): string {
  if (flushing !== undefined) return `flush: ${flushing}_   (Enter: flush this name, Esc: not)`;
  if (note !== '') return note;
  if (isTyping) return `filter: ${filter}_   (Enter: use it, Esc: none)`;
  const shown = filter === '' ? '' : ` "${filter}"`;
  return `q quit  p ${isPaused ? 'go on (PAUSED)' : 'pause'}  s sort: ${sort}  f flush  / filter${shown}`;
}
