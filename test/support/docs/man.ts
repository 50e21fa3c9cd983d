/** Man pages in docs/man, generated from the tables of commands and flags (man(7)). */
import { COMMANDS } from '../../../agent/base/commands/table.ts';
import type { CommandInfo } from '../../../agent/base/commands/types.ts';
import { flagsOf } from '../../../agent/base/flags/table.ts';
import type { CommandName, Flag } from '../../../agent/base/flags/types.ts';

/** Text of each page by its name. */
export function manPages(): ReadonlyMap<string, string> {
  const pages = COMMANDS.map((info) => [`nodens-${info.command}.1`, commandPage(info)] as const);
  return new Map([['nodens.1', overview()], ...pages]);
}

function overview(): string {
  const commands = COMMANDS.flatMap(({ command, usage, summary }) => [
    '.TP',
    `.B ${escaped(`nodens ${command} ${usage}`.trimEnd())}`,
    `${sentence(summary)} See`,
    `.BR nodens\\-${command} (1).`,
  ]);
  return page('nodens', 'a DNS cache on every Kubernetes node', [
    section('Synopsis'),
    '.B nodens',
    '.RI [ command ]',
    '.RI [ \\-flag\\ value \\ ...]',
    section('Description'),
    'Answers the DNS queries of the pods of a node from a cache, and forwards the rest. Without a command and flags it',
    'serves this machine on 127.0.0.1:1053; without a command, and with flags of node\\-local\\-dns, it is a drop\\-in for it:',
    'init and agent in one container. A flag takes one dash or two; its value follows after a space or an equals sign.',
    section('Commands'),
    ...commands,
    section('Flags of the drop-in'),
    ...flagsOf('drop-in').flatMap(flagLines),
  ]);
}

function commandPage({ command, usage, summary, text, examples, exitCodes }: CommandInfo): string {
  return page(`nodens-${command}`, summary, [
    section('Synopsis'),
    `.B nodens ${command}`,
    ...(flagsOf(command).length > 0 ? ['.RI [ \\-flag\\ value \\ ...]'] : []),
    ...(usage === '' ? [] : [escaped(usage)]),
    section('Description'),
    ...text.split('\n').map((line) => (line === '' ? '.PP' : escaped(line))),
    ...flagSection(command),
    section('Exit status'),
    escaped(exitCodes.replace(/^Exit code: /, '')),
    section('Examples'),
    ...examples.flatMap(([line, what]) => ['.TP', `.B ${escaped(line)}`, escaped(sentence(what))]),
    section('See also'),
    '.BR nodens (1)',
  ]);
}

function flagSection(command: CommandName): string[] {
  const flags = flagsOf(command);
  return flags.length === 0 ? [] : [section('Options'), ...flags.flatMap(flagLines)];
}

function flagLines({
  name,
  aliases = [],
  value,
  help,
  default: fixed,
  defaultText,
}: Flag): string[] {
  const names = [name, ...aliases].map((one) => `\\fB\\-${escaped(one)}\\fR`).join(', ');
  const argument = value === undefined ? '' : ` \\fI${escaped(value)}\\fR`;
  const other = fixed ?? defaultText;
  const note = other === undefined ? '' : ` Default: ${other === '' ? 'empty' : other}.`;
  return ['.TP', `${names}${argument}`, escaped(`${sentence(help)}${note}`)];
}

function page(name: string, summary: string, lines: readonly string[]): string {
  return [
    '.\\" Written by `npm run docs`. Edit the tables in code instead.',
    `.TH ${name.toUpperCase().replaceAll('-', '\\-')} 1`,
    section('Name'),
    `${escaped(name)} \\- ${escaped(summary)}`,
    ...lines,
    '',
  ].join('\n');
}

function section(title: string): string {
  return `.SH ${title.toUpperCase()}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? '' : '.'}`;
}

/** Text that roff prints as it is: no escapes, no requests at the start of a line, ASCII. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('–', '\\-')
    .replace(/^([.'])/, '\\&$1');
}
