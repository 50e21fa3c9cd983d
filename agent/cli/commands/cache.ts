/** `nodens cache`: looks into the running agent's cache, and removes entries from it. */
import { UsageError } from '../../base/errors.ts';
import { duration, percent, size } from '../../base/text/amounts.ts';
import { nearest } from '../../base/text/nearest.ts';
import type {
  AdminLine,
  CacheSelection,
  CacheStatsLine,
  EntryLine,
  FlushedLine,
} from '../../operator/protocol.ts';
import { type Arguments, maxWords, runCommand, typeArgument } from './arguments.ts';
import { ask, askOnce } from './asking.ts';
import { readMessage, recordLine } from './message.ts';
import { print, printJson, table } from './print.ts';

const ACTIONS: Readonly<Record<string, (args: Arguments) => Promise<number>>> = {
  get,
  dump,
  flush,
  stats,
};

/** Resolves to the exit code (see the help text). Throws UsageError. */
export function cacheCommand(argv: readonly string[]): Promise<number> {
  return runCommand(argv, 'cache', async (args) => {
    const [action = '', ...words] = args.words;
    const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (run === undefined) throw unknownAction(action);
    const isFlush = action === 'flush';
    if (!isFlush && (args.values.zone !== undefined || args.values.all === 'true'))
      throw new UsageError('flags -zone and -all are for flush');
    return await run({ ...args, words });
  });
}

function unknownAction(action: string): UsageError {
  const names = Object.keys(ACTIONS).join(', ');
  if (action === '') return new UsageError(`cache needs one of: ${names}`);
  const meant = nearest(action, Object.keys(ACTIONS));
  const hint = meant === undefined ? `one of: ${names}` : `did you mean "${meant}"?`;
  return new UsageError(`unknown action "${action}" of cache: ${hint}`);
}

async function get({ words, isJson, paths }: Arguments): Promise<number> {
  maxWords(words, 2);
  const [name, type] = words;
  if (name === undefined) throw new UsageError('cache get needs a name');
  let found = 0;
  const select = { name, type: typeArgument(type) };
  for await (const line of ask({ command: 'cache-get', select }, paths)) {
    if (line.line !== 'entry') continue;
    found++;
    await (isJson ? printJson(withRecords(line)) : print(entryText(line)));
  }
  if (found === 0 && !isJson) process.stderr.write(`nothing is cached for ${name}\n`);
  return found === 0 ? 1 : 0;
}

async function dump({ words, isJson, paths }: Arguments): Promise<number> {
  maxWords(words, 1);
  const [zone] = words;
  const select: CacheSelection = zone === undefined ? { all: true } : { zone };
  let found = 0;
  for await (const line of ask({ command: 'cache-get', select }, paths)) {
    if (line.line !== 'entry') continue;
    if (found++ === 0 && !isJson) await print(`${DUMP_HEAD}\n`);
    await (isJson ? printJson(withRecords(line)) : print(`${dumpLine(line)}\n`));
  }
  if (found === 0 && !isJson)
    process.stderr.write(`nothing is cached${zone === undefined ? '' : ` in ${zone}`}\n`);
  return found === 0 ? 1 : 0;
}

async function flush({ words, values, isJson, paths }: Arguments): Promise<number> {
  const select = flushSelection(words, values.zone, values.all === 'true');
  const flushed = await askOnce({ command: 'cache-flush', select }, paths, 'flushed');
  await (isJson ? printJson(withoutLine(flushed)) : print(flushedText(flushed)));
  return flushed.snapshot === 'failed' ? 1 : 0;
}

function flushSelection(
  words: readonly string[],
  zone: string | undefined,
  isAll: boolean,
): CacheSelection {
  maxWords(words, 2);
  const [name, type] = words;
  const given = [name, zone, isAll ? true : undefined].filter((one) => one !== undefined);
  if (given.length !== 1) throw new UsageError('cache flush needs one of: a name, -zone, -all');
  if (isAll) return { all: true };
  if (zone !== undefined) return { zone };
  return { name: name as string, type: typeArgument(type) };
}

async function stats({ words, isJson, paths }: Arguments): Promise<number> {
  maxWords(words, 0);
  const found = await askOnce({ command: 'cache-stats' }, paths, 'cache-stats');
  await (isJson ? printJson(withoutLine(found)) : print(statsText(found)));
  return 0;
}

/** A line without its discriminator, for scripts. */
export function withoutLine<Line extends AdminLine>({ line: _, ...rest }: Line): object {
  return rest;
}

function withRecords(line: EntryLine): object {
  const { records } = readMessage(Buffer.from(line.wire, 'base64'));
  return { ...withoutLine(line), records };
}

/** An entry in some lines: what and how long, in which block, its records. */
export function entryText(line: EntryLine): string {
  const { records } = readMessage(Buffer.from(line.wire, 'base64'));
  const bits = [
    ...(line.dnssecOk ? ['DO'] : []),
    ...(line.checkingDisabled ? ['CD'] : []),
    ...(line.hasOptions ? ['with EDNS options'] : []),
  ];
  const age = line.ageSeconds === undefined ? '' : `, age ${duration(line.ageSeconds)}`;
  const usable =
    line.usableSeconds > Math.max(0, line.ttlSeconds)
      ? `, of use in an outage for ${duration(line.usableSeconds)}`
      : '';
  return [
    `${line.name} ${line.type}: ${line.state} ${line.kind} ${line.rcode}, TTL ${duration(line.ttlSeconds)}${usable}${age}`,
    `  block ${line.block}${bits.length === 0 ? '' : `, asked with ${bits.join(', ')}`}, ${size(line.bytes)}`,
    ...records.map((record) => `  ${recordLine(record)}`),
    '',
  ].join('\n');
}

const DUMP_HEAD = [
  'STATE'.padEnd(10),
  'KIND'.padEnd(7),
  'TTL'.padStart(7),
  'NAME TYPE RCODE RDATA',
].join(' ');
const MAX_RDATA = 3;

function dumpLine(line: EntryLine): string {
  const { records } = readMessage(Buffer.from(line.wire, 'base64'));
  const texts = records.filter(({ section }) => section === 'answer').map(({ rdata }) => rdata);
  const more = texts.length > MAX_RDATA ? [`(${texts.length - MAX_RDATA} more)`] : [];
  return [
    line.state.padEnd(10),
    line.kind.padEnd(7),
    duration(line.ttlSeconds).padStart(7),
    `${line.name} ${line.type} ${line.rcode}`,
    ...texts.slice(0, MAX_RDATA),
    ...more,
  ].join(' ');
}

/** What a flush took, in a line. */
export function flushedText({
  entries,
  answers,
  denials,
  failures,
  cuts,
  snapshot,
}: FlushedLine): string {
  const kinds = `${answers} answers, ${denials} denials, ${failures} failures, ${cuts} denials of names below`;
  const what = entries === 0 ? 'nothing was cached' : `removed ${entries} entries (${kinds})`;
  const file = {
    none: '',
    written: '; the snapshot was written anew',
    failed:
      '; THE SNAPSHOT COULD NOT BE WRITTEN: a restart may bring them back (see the log of the agent)',
  }[snapshot];
  return `${what}${file}\n`;
}

function statsText({
  blocks,
  counters,
  limitBytes,
  answerBytes,
  denialBytes,
  ...counts
}: CacheStatsLine): string {
  const used = answerBytes + denialBytes;
  const rows = [
    ['memory', `${size(used)} of ${size(limitBytes)} (${percent(used, limitBytes)})`],
    ['answers', `${counts.answers}, ${size(answerBytes)}`],
    ['denials and failures', `${counts.denials}, ${size(denialBytes)}`],
    ['queries in flight', String(counts.inflightQueries)],
    ...Object.entries(counters).map(([name, value]) => [name, String(value)]),
  ];
  const perBlock = blocks.map(({ block, answers, denials }) => [
    block,
    String(answers),
    String(denials),
  ]);
  const width = Math.max(...rows.map(([name = '']) => name.length)) + 2;
  const facts = rows.map(([name = '', value = '']) => `${name.padEnd(width)}${value}\n`).join('');
  return `${facts}\n${table(['BLOCK', '>ANSWERS', '>DENIALS'], perBlock)}`;
}
