/**
 * Counts `coredns_dns_*`: a row of plain numbers for every (listener, zone, view), looked up once at routing and
 * updated for every query.
 */
import type { Family as AddressFamily } from '../../base/address.ts';
import { rcodeName, TYPE } from '../../dns/iana.ts';
import type { Query, RequestMetrics } from '../../query/query.ts';
import type { ServerLabel } from '../../query/services/block.ts';
import type { Labels } from '../../query/services/metrics.ts';
import { SIZE_BUCKETS, TIME_BUCKETS } from './buckets.ts';
import { HistogramSeries } from './histogram.ts';
import { labelsText } from './line-text.ts';
import { TRAFFIC_SERIES } from './names.ts';
import { type Family, lazily, type Sample, type Source } from './samples.ts';

/** Types with a series of their own, as in CoreDNS; all others count as `other`. */
const TYPES = [
  'A',
  'AAAA',
  'CNAME',
  'DNSKEY',
  'DS',
  'MX',
  'NSEC',
  'NSEC3',
  'NS',
  'PTR',
  'RRSIG',
  'SOA',
  'SRV',
  'TXT',
  'HTTPS',
  'SVCB',
  'IXFR',
  'AXFR',
  'ANY',
] as const;
const TYPE_LABELS: readonly string[] = [...TYPES, 'other'];
const OTHER = TYPES.length;

/** Index into `TYPE_LABELS` of every type number below 256; above that all are `other`. */
const TYPE_INDEX = new Uint8Array(256).fill(OTHER);
TYPES.forEach((type, index) => {
  TYPE_INDEX[TYPE[type]] = index;
});

/** Rcodes above BADCOOKIE are not assigned; they share one series. */
const RCODES = 24;

const PROTOCOLS = ['udp', 'tcp'] as const;
/** Label `family` for IPv4 and IPv6, as in CoreDNS. */
const FAMILIES = ['1', '2'] as const;
const REQUESTS_OF_FAMILY = PROTOCOLS.length * TYPE_LABELS.length;

/** Labels of each counter in `#requests` beside those of its row; the lines of all rows share their texts. */
const REQUEST_LABELS: readonly Labels[] = FAMILIES.flatMap((family) =>
  PROTOCOLS.flatMap((proto) => TYPE_LABELS.map((type) => ({ proto, family, type }))),
);
const REQUEST_ENDS = REQUEST_LABELS.map((labels) => `,${labelsText(labels)}} `);
const RCODE_LABELS = Array.from({ length: RCODES + 1 }, (_, rcode) =>
  rcode < RCODES ? rcodeName(rcode) : 'other',
);

type FamilyName = keyof typeof TRAFFIC_SERIES;

class Row implements RequestMetrics {
  readonly labels: Labels;
  /** Address family of a listener with one address, and so of all its clients. */
  readonly #family: AddressFamily;
  readonly #requests = new Float64Array(FAMILIES.length * REQUESTS_OF_FAMILY);
  readonly #requestSizes = PROTOCOLS.map(() => new HistogramSeries(SIZE_BUCKETS));
  readonly #responseSizes = PROTOCOLS.map(() => new HistogramSeries(SIZE_BUCKETS));
  readonly #durations = new HistogramSeries(TIME_BUCKETS);
  #dnssecOk = 0;
  readonly #responses = new Map<string, Float64Array>();
  /** The plugin that answered last, which usually answers next. */
  #lastPlugin = '';
  #lastResponses: Float64Array;
  /** `labels` as text, once a page has shown them. */
  #text: string | undefined;

  constructor(labels: Labels, family: AddressFamily) {
    this.labels = labels;
    this.#family = family;
    this.#lastResponses = this.#responsesOf('');
  }

  record(query: Query, rcode: number, responseBytes: number, plugin: string): void {
    const tcp = query.transport === 'tcp' ? 1 : 0;
    const { type, server } = query;
    const typeIndex = type < 256 ? (TYPE_INDEX[type] as number) : OTHER;
    const familyAt = (server.family ?? this.#family) === 4 ? 0 : REQUESTS_OF_FAMILY;
    add(this.#requests, familyAt + tcp * TYPE_LABELS.length + typeIndex);
    if (query.dnssecOk) this.#dnssecOk++;
    (this.#requestSizes[tcp] as HistogramSeries).observe(query.length);
    (this.#responseSizes[tcp] as HistogramSeries).observe(responseBytes);
    if (plugin !== this.#lastPlugin) {
      this.#lastResponses = this.#responsesOf(plugin);
      this.#lastPlugin = plugin;
    }
    add(this.#lastResponses, Math.min(rcode, RCODES));
  }

  recordDuration(durationMs: number, count: number): void {
    this.#durations.observe(durationMs / 1_000, count);
  }

  traced(traceId: string, sinceMs: number): RequestMetrics {
    return new TracedRequest(this, traceId, sinceMs);
  }

  exemplify(durationMs: number, traceId: string, atMs: number): void {
    this.#durations.exemplify({ traceId, value: durationMs / 1_000, atMs });
  }

  #responsesOf(plugin: string): Float64Array {
    let counts = this.#responses.get(plugin);
    if (counts === undefined) {
      counts = new Float64Array(RCODES + 1);
      this.#responses.set(plugin, counts);
    }
    return counts;
  }

  *requests(): Iterable<Sample> {
    const requests = this.#requests;
    for (let i = 0; i < requests.length; i++) {
      const value = requests[i] as number;
      if (value === 0) continue;
      yield { labels: { ...this.labels, ...REQUEST_LABELS[i] }, value };
    }
  }

  *responses(): Iterable<Sample> {
    for (const [plugin, counts] of this.#responses) {
      for (let i = 0; i < counts.length; i++) {
        const value = counts[i] as number;
        if (value === 0) continue;
        const rcode = RCODE_LABELS[i] as string;
        yield { labels: { ...this.labels, rcode, plugin }, value };
      }
    }
  }

  *dnssecOk(): Iterable<Sample> {
    if (this.#dnssecOk > 0) yield { labels: this.labels, value: this.#dnssecOk };
  }

  *durations(name: string): Iterable<Sample> {
    if (this.#durations.count > 0) yield* this.#durations.samples(name, this.labels);
  }

  *requestSizes(name: string): Iterable<Sample> {
    yield* this.#sizes(name, this.#requestSizes);
  }

  *responseSizes(name: string): Iterable<Sample> {
    yield* this.#sizes(name, this.#responseSizes);
  }

  *#sizes(name: string, sizes: readonly HistogramSeries[]): Iterable<Sample> {
    for (const [i, distribution] of sizes.entries()) {
      if (distribution.count === 0) continue;
      yield* distribution.samples(name, { ...this.labels, proto: PROTOCOLS[i] as string });
    }
  }

  /** The samples of `name` as lines: at most those of two histograms, or one for each type or rcode. */
  textOf(name: FamilyName): string {
    switch (name) {
      case 'coredns_dns_requests_total':
        return this.#requestsText(name);
      case 'coredns_dns_responses_total':
        return this.#responsesText(name);
      case 'coredns_dns_do_requests_total':
        return this.#dnssecOk > 0 ? `${name}{${this.#labelsText}} ${this.#dnssecOk}\n` : '';
      case 'coredns_dns_request_duration_seconds':
        return this.#durations.count > 0 ? this.#durations.text(name, this.#labelsText) : '';
      case 'coredns_dns_request_size_bytes':
        return this.#sizesText(name, this.#requestSizes);
      case 'coredns_dns_response_size_bytes':
        return this.#sizesText(name, this.#responseSizes);
    }
  }

  get #labelsText(): string {
    this.#text ??= labelsText(this.labels);
    return this.#text;
  }

  #requestsText(name: string): string {
    let text = '';
    const start = `${name}{${this.#labelsText}`;
    for (let i = 0; i < this.#requests.length; i++) {
      const value = this.#requests[i] as number;
      if (value > 0) text += `${start}${REQUEST_ENDS[i] as string}${value}\n`;
    }
    return text;
  }

  #responsesText(name: string): string {
    let text = '';
    for (const [plugin, counts] of this.#responses) {
      const end = labelsText({ plugin });
      for (let i = 0; i < counts.length; i++) {
        const value = counts[i] as number;
        if (value > 0)
          text += `${name}{${this.#labelsText},rcode="${RCODE_LABELS[i] as string}",${end}} ${value}\n`;
      }
    }
    return text;
  }

  #sizesText(name: string, sizes: readonly HistogramSeries[]): string {
    let text = '';
    for (let i = 0; i < sizes.length; i++) {
      const one = sizes[i] as HistogramSeries;
      if (one.count > 0)
        text += one.text(name, `${this.#labelsText},proto="${PROTOCOLS[i] as string}"`);
    }
    return text;
  }
}

/** The row of a traced query: its duration, which is known last, gets the trace as exemplar. */
class TracedRequest implements RequestMetrics {
  readonly #row: Row;
  readonly #traceId: string;
  readonly #sinceMs: number;

  constructor(row: Row, traceId: string, sinceMs: number) {
    this.#row = row;
    this.#traceId = traceId;
    this.#sinceMs = sinceMs;
  }

  record(query: Query, rcode: number, responseBytes: number, plugin: string): void {
    this.#row.record(query, rcode, responseBytes, plugin);
  }

  recordDuration(durationMs: number, count: number): void {
    this.#row.recordDuration(durationMs, count);
    this.#row.exemplify(durationMs, this.#traceId, this.#sinceMs + durationMs);
  }

  traced(traceId: string, sinceMs: number): RequestMetrics {
    return this.#row.traced(traceId, sinceMs);
  }
}

const add = (counts: Float64Array, index: number): void => {
  counts[index] = (counts[index] as number) + 1;
};

const SAMPLES: Readonly<Record<FamilyName, (row: Row, name: string) => Iterable<Sample>>> = {
  coredns_dns_requests_total: (row) => row.requests(),
  coredns_dns_do_requests_total: (row) => row.dnssecOk(),
  coredns_dns_request_duration_seconds: (row, name) => row.durations(name),
  coredns_dns_request_size_bytes: (row, name) => row.requestSizes(name),
  coredns_dns_response_size_bytes: (row, name) => row.responseSizes(name),
  coredns_dns_responses_total: (row) => row.responses(),
};

/** All rows of the process. They are never removed: a reload must not reset a counter. */
export class TrafficTable implements Source {
  readonly #rows = new Map<string, Row>();
  readonly #families: readonly Family[] = (Object.keys(SAMPLES) as FamilyName[]).map((name) => {
    const { type, help } = TRAFFIC_SERIES[name];
    const values = lazily(() => this.#samples(name));
    return { name, help, type, values, texts: lazily(() => this.#texts(name)) };
  });

  /**
   * The row of a listener, zone (lower case, with trailing dot; `dropped` for queries refused before routing) and view
   * ('' without one). Always the same object for the same three.
   */
  row(server: ServerLabel, zone: string, view: string): RequestMetrics {
    const key = `${server.label}\u0000${zone}\u0000${view}`;
    let row = this.#rows.get(key);
    if (row === undefined) {
      const family = server.label.includes('[') ? 6 : 4;
      row = new Row({ server: server.label, zone, view }, family);
      this.#rows.set(key, row);
    }
    return row;
  }

  families(): Iterable<Family> {
    return this.#families;
  }

  *#samples(name: FamilyName): Iterable<Sample> {
    for (const row of this.#rows.values()) yield* SAMPLES[name](row, name);
  }

  *#texts(name: FamilyName): Iterable<string> {
    for (const row of this.#rows.values()) yield row.textOf(name);
  }
}
