/** `nodens observe`: queries of the running agent as they are answered. */
import { systemClock } from '../../base/clock.ts';
import { UsageError } from '../../base/errors.ts';
import { milliseconds } from '../../base/text/amounts.ts';
import { parseDurationMs } from '../../base/text/duration.ts';
import { RCODE, rcodeNumber } from '../../dns/iana.ts';
import type { ObservedLine, ObserveRequest, SkippedLine } from '../../operator/protocol.ts';
import { type Arguments, maxWords, runCommand } from './arguments.ts';
import { ask } from './asking.ts';
import { withoutLine } from './cache.ts';
import { print, printJson } from './print.ts';

/** Resolves to the exit code (see the help text). Throws UsageError. */
export function observeCommand(argv: readonly string[]): Promise<number> {
  return runCommand(argv, 'observe', observe);
}

async function observe(args: Arguments): Promise<number> {
  maxWords(args.words, 0);
  const { values, paths } = args;
  const isJson = args.isJson || isJsonOutput(values.output);
  const request = requestOf(values);
  const endMs = endTime(values);
  let shown = 0;
  for await (const line of ask(request, paths, endOf(endMs))) {
    if (line.line !== 'query' && line.line !== 'skipped') continue;
    if (line.line === 'query' && shown++ === 0 && !isJson) await print(`${HEAD}\n`);
    await (isJson ? printJson(asJson(line)) : print(`${asText(line)}\n`));
  }
  if (shown === 0 && !isJson) process.stderr.write('no query was shown: none came, or none fits\n');
  return shown === 0 ? 1 : 0;
}

/** How long to observe; undefined until interrupted. A script that gives -f and -for wants an end. */
function endTime({ for: lasts, follow }: Arguments['values']): number | undefined {
  if (lasts === undefined && follow === 'true') return undefined;
  const endMs = time('for', lasts ?? '5s');
  if (endMs <= 0) throw new UsageError(`flag -for: "${lasts}" is no time above 0 such as 5s`);
  return endMs;
}

/** Aborts after `endMs`, if there is an end, and at an interrupt. */
function endOf(endMs: number | undefined): AbortSignal {
  const end = new AbortController();
  const stop = (): void => end.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  if (endMs !== undefined) systemClock.after(endMs, stop);
  return end.signal;
}

function requestOf(values: Arguments['values']): ObserveRequest {
  const { client, name, rcode, slow, stale } = values;
  return {
    command: 'observe',
    client,
    name,
    rcode: rcode === undefined ? undefined : rcodeOf(rcode),
    slowMs: slow === undefined ? undefined : time('slow', slow),
    isStale: stale === 'true',
  };
}

function rcodeOf(text: string): number {
  const rcode = rcodeNumber(text.toUpperCase());
  if (rcode !== undefined) return rcode;
  throw new UsageError(`flag -rcode: "${text}" is none of ${Object.keys(RCODE).join(', ')}`);
}

function time(flag: string, text: string): number {
  const timeMs = parseDurationMs(text);
  if (timeMs === undefined)
    throw new UsageError(`flag -${flag}: "${text}" is no time such as 50ms`);
  return timeMs;
}

function isJsonOutput(output = 'text'): boolean {
  if (output !== 'text' && output !== 'json')
    throw new UsageError(`flag -output: "${output}" is neither text nor json`);
  return output === 'json';
}

function asJson(line: ObservedLine | SkippedLine): object {
  return line.line === 'query' ? withoutLine(line) : { skipped: line.queries };
}

const HEAD = `${'TIME'.padEnd(13)}${'CLIENT'.padEnd(16)}${'FROM'.padEnd(8)}${'TOOK'.padStart(9)}  RCODE     NAME TYPE`;

function asText(line: ObservedLine | SkippedLine): string {
  if (line.line === 'skipped') return `(${line.queries} queries are not shown)`;
  const { time: at, client, from, durationMs, rcode, name, type, upstream } = line;
  const via = upstream === undefined ? '' : ` via ${upstream}`;
  return (
    `${at.slice(11, 23).padEnd(13)}${(client || '-').padEnd(15)} ${from.padEnd(8)}` +
    `${milliseconds(durationMs).padStart(9)}  ${rcode.padEnd(9)} ${name} ${type}${via}`
  );
}
