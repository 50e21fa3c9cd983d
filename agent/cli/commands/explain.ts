/** `nodens explain`: what a lookup of one pod costs on this node. */
import { UsageError } from '../../base/errors.ts';
import { duration } from '../../base/text/amounts.ts';
import type { ExplainedLine, ExplainedQuestion } from '../../operator/protocol.ts';
import { type Arguments, maxWords, runCommand } from './arguments.ts';
import { askOnce } from './asking.ts';
import { withoutLine } from './cache.ts';
import { print, printJson, table } from './print.ts';

/** Resolves to the exit code (see the help text). Throws UsageError. */
export function explainCommand(argv: readonly string[]): Promise<number> {
  return runCommand(argv, 'explain', explain);
}

async function explain({ words, values, isJson, paths }: Arguments): Promise<number> {
  maxWords(words, 2);
  if (words.length === 0) throw new UsageError('explain needs a pod, an address or a name');
  const { namespace, listener } = values;
  const request = { command: 'explain', words, namespace, listener } as const;
  const explained = await askOnce(request, paths, 'explained');
  await (isJson ? printJson(withoutLine(explained)) : print(explainedText(explained)));
  return 0;
}

const FROM = {
  pod: "the pod's, by autopath's watch",
  file: "autopath's list for every client",
  assumed: 'assumed: no watch of autopath knows this client',
} as const;

/** The screen. */
export function explainedText(explained: ExplainedLine): string {
  const { client, search, name, dots, questions } = explained;
  const host = client.isHostNetwork ? ', host network: its list is that of the node' : '';
  const pod = client.pod === undefined ? client.address : `${client.pod} (${client.address})`;
  const order =
    name.endsWith('.') || dots >= search.ndots
      ? 'asked as it is at first'
      : `fewer dots than ndots ${search.ndots}: the search list comes first`;
  const facts = [
    ['client', `${pod}${host}`],
    ['search', `${search.domains.join(' ') || 'none'}, ndots ${search.ndots}`],
    ['', `(${FROM[search.from]})`],
    ['name', `${name}: ${order}`],
  ].map(([head = '', text = '']) => `${head.padEnd(9)}${text}\n`);
  const rows = questions.map((one, index) => [
    String(index + 1),
    `${one.name} ${one.type}`,
    verdictText(one),
    whereText(one),
  ]);
  const list = table(['>', 'QUESTION', 'CACHE', 'WHERE'], rows);
  return `${facts.join('')}\n${list}\n${costText(explained)}`;
}

function verdictText({ verdict, ttlSeconds, cutAt }: ExplainedQuestion): string {
  const cut = cutAt === undefined ? '' : ` at ${cutAt}`;
  if (ttlSeconds === undefined) return verdict;
  return ttlSeconds < 0
    ? `${verdict}, expired ${duration(-ttlSeconds)} ago`
    : `${verdict}${cut}, TTL ${duration(ttlSeconds)}`;
}

function whereText({ zone, view, plugins, upstreams }: ExplainedQuestion): string {
  if (zone === undefined) return 'no block has this name';
  const to = upstreams.map((one) =>
    one.state === undefined ? one.to : `${one.to} (${one.state})`,
  );
  const steps = [...plugins, ...(to.length === 0 ? [] : [`forward ${to.join(' ')}`])];
  const name = view === undefined ? zone : `${zone} view ${view}`;
  return `block ${name}: ${steps.join(', ') || 'nothing answers'}`;
}

const FROM_CACHE = new Set(['hit', 'nodata', 'denied', 'cut', 'failure', 'refused']);

function costText({ questions, isEndKnown, isWalkedHere }: ExplainedLine): string {
  const here = questions.filter(({ verdict }) => FROM_CACHE.has(verdict)).length;
  const count = questions.length;
  const others = count - here;
  const bound = isEndKnown || others === 0 ? '' : ', or fewer where a miss turns out to exist';
  const lines = [
    `${count} questions${bound}: ${here} answered at once, ${others} for a plugin or an upstream.`,
    ...(isWalkedHere
      ? ['autopath walks the list here: the client itself asks the first two.']
      : []),
  ];
  return `${lines.join('\n')}\n`;
}
