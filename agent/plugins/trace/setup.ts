/** `trace [otlp|zipkin] [ENDPOINT] { every N; service NAME; … }`: spans of every Nth query to a collector. */
import { ConfigError } from '../../base/errors.ts';
import { nearest } from '../../base/text/nearest.ts';
import {
  argsBetween,
  badValue,
  durationArg,
  intArg,
  maxArgs,
  oneArg,
  readOptions,
} from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { SpanExportOptions, SpanFormat, SpanSink } from '../../query/services/exports.ts';
import type { Services } from '../../query/services/services.ts';
import { Tracing } from './handler.ts';

/** Where a collector listens, and the path of an endpoint without one. */
const PLACES: Readonly<Record<SpanFormat, { readonly endpoint: string; readonly path: string }>> = {
  zipkin: { endpoint: 'localhost:9411', path: '/api/v2/spans' },
  otlp: { endpoint: 'localhost:4318', path: '/v1/traces' },
};

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Throws ConfigError for Datadog, an endpoint that is no URL, and options out of range. Connects at `start`. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const settings: Settings = {
    ...{
      format: 'zipkin',
      url: '',
      service: 'coredns',
      backlog: 1_000,
      batch: 100,
      intervalMs: 1_000,
      every: 1,
    },
  };
  // The last value of several uses is effective, as in CoreDNS.
  for (const line of directive.uses) readUse(line, settings);
  const { every, ...options } = settings;
  return plugin(options, every, services);
}

interface Settings extends Writable<SpanExportOptions> {
  /** One query in this many is traced. */
  every: number;
}

function readUse(line: Line, options: Settings): void {
  Object.assign(options, collectorOf(argsBetween(line, 0, 2)));
  readOptions(line, {
    every: (option) => {
      options.every = intArg(oneArg(option), { min: 1, max: 1_000_000_000 });
    },
    service: (option) => {
      options.service = oneArg(option).text;
    },
    // Accepted without effect: all of nodens's spans are server spans.
    client_server: (option) => void maxArgs(option, 1),
    datadog_analytics_rate: (option) => {
      throw noDatadog(option.name);
    },
    zipkin_max_backlog_size: (option) => {
      options.backlog = intArg(oneArg(option), { min: 1, max: 100_000 });
    },
    zipkin_max_batch_size: (option) => {
      options.batch = intArg(oneArg(option), { min: 1, max: 10_000 });
    },
    zipkin_max_batch_interval: (option) => {
      options.intervalMs = durationArg(oneArg(option), { minMs: 1, maxMs: 60_000 });
    },
  });
}

function plugin(options: SpanExportOptions, every: number, services: Services): Plugin {
  const { clock, random, exports } = services;
  let sink: SpanSink | undefined;
  const tracing = new Tracing({ clock, random, every, add: (span) => sink?.add(span) });
  return {
    name: 'trace',
    handle: tracing.handle,
    watch: tracing.watch,
    start: () => {
      sink = exports.spans(options);
    },
    stop: () => sink?.close(),
  };
}

function collectorOf(args: readonly Token[]): Pick<Settings, 'format' | 'url'> {
  const [first, second] = args;
  const kind = first?.text.toLowerCase();
  if (first !== undefined && kind === 'datadog') throw noDatadog(first);
  const isNamed = kind === 'zipkin' || kind === 'otlp';
  if (!isNamed && second !== undefined)
    throw badValue(first as Token, 'a kind of collector: otlp or zipkin');
  if (!isNamed && first !== undefined) refuseTypo(first);
  const format = isNamed ? kind : 'zipkin';
  const token = isNamed ? second : first;
  const url = urlOf(format, token?.text ?? PLACES[format].endpoint);
  if (url === undefined) throw badValue(token as Token, 'a host with port or a URL');
  return { format, url };
}

/** An OTLP endpoint without a path has the usual one, also as a URL: its documentation writes http://host:4318. */
function urlOf(format: SpanFormat, text: string): string | undefined {
  const { path } = PLACES[format];
  const isUrl = /^https?:\/\//.test(text);
  // CoreDNS takes a host without a port for Zipkin.
  if (!isUrl && !(format === 'zipkin' ? /^(?!.*:\/\/)/ : /^[^/]+:\d+$/).test(text))
    return undefined;
  const url = isUrl ? text : `http://${text}${path}`;
  if (/\s/.test(url) || !URL.canParse(url)) return undefined;
  return format === 'otlp' && new URL(url).pathname === '/' ? new URL(path, url).href : url;
}

/** One word without a port is an endpoint for Zipkin, as in CoreDNS; spans for a host `oltp` would be lost in silence. */
function refuseTypo(word: Token): void {
  const meant = /^[a-z]+$/i.test(word.text) ? nearest(word.text, ['otlp', 'zipkin']) : undefined;
  if (meant === undefined) return;
  throw badValue(word, `a kind of collector: did you mean "${meant}"?`);
}

function noDatadog({ place }: Token): ConfigError {
  return new ConfigError(
    place,
    'datadog is not supported: its agent takes OpenTelemetry spans too, so use trace otlp with port 4318 of the agent',
  );
}
