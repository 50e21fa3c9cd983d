/** The pages in docs/reference, generated from the tables in code. */
import { AGENT_EVENTS, INIT_EVENTS } from '../../../agent/base/events/table.ts';
import type { LogEvent } from '../../../agent/base/events/types.ts';
import { flagsOf } from '../../../agent/base/flags/table.ts';
import type { CommandName } from '../../../agent/base/flags/types.ts';
import { OLDER_NAMES } from '../../../agent/observe/metrics/legacy-names.ts';
import { SERIES, type SeriesSpec } from '../../../agent/observe/metrics/names.ts';

const GENERATED = '<!-- Written by `npm run docs`. Edit the tables in code instead. -->';

/** Text of each page by its name. */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    ['flags.md', flagsPage()],
    ['metrics.md', metricsPage()],
    ['logs.md', logsPage()],
  ]);
}

const COMMANDS: readonly (readonly [CommandName, string, string])[] = [
  [
    'drop-in',
    'nodens -localip … -conf …',
    'the command line of node-local-dns: init and agent in one container',
  ],
  ['agent', 'nodens agent', 'the resolver'],
  ['init', 'nodens init', 'addresses and interception rules'],
  [
    'check',
    'nodens check [FILE]',
    'validates a configuration; also takes the flags of `nodens agent`',
  ],
  ['status', 'nodens status', 'one screen about the running agent'],
  ['cache', 'nodens cache', "looks into the running agent's cache, and has entries forgotten"],
  ['query', 'nodens query', 'asks the running agent through its real chain'],
  [
    'explain',
    'nodens explain',
    'shows which questions a lookup of a pod causes, and what becomes of each',
  ],
  ['observe', 'nodens observe', 'shows queries of the running agent as they are answered'],
  ['top', 'nodens top', 'a live screen about the running agent'],
  ['support', 'nodens support', 'writes an archive for a bug report'],
  ['doctor', 'nodens doctor', 'finds out whether a query from a pod of this node is answered'],
];

function flagsPage(): string {
  const intro =
    'A flag takes one dash or two. Its value follows after a space or an equals sign. A switch is on when it is\n' +
    'given; `-quiet=false` turns it off. `nodens COMMAND --help` prints the same list.';
  const sections = COMMANDS.map(([command, usage, what]) => {
    const rows = flagsOf(command).map((flag) => [
      [flag.name, ...(flag.aliases ?? [])].map((name) => code(`-${name}`)).join(', '),
      flag.value ?? 'switch',
      flag.default === undefined ? (flag.defaultText ?? '') : code(flag.default),
      flag.help,
    ]);
    return `## ${usage}\n\n${sentence(what)}\n\n${table(['flag', 'value', 'default', 'meaning'], rows)}`;
  });
  const codes = table(['command', '0', '1', '2'], EXIT_CODES);
  const others =
    'Wrong usage is 2 everywhere. Commands that ask the agent end with 3 where none answers on its admin socket.';
  return page('Flags', intro, [...sections, `## Exit codes\n\n${others}\n\n${codes}`]);
}

const EXIT_CODES: readonly (readonly string[])[] = [
  ['`agent`, `init`', 'stopped in order', 'could not start or serve', 'wrong usage'],
  ['`check`', 'valid', 'not valid; with `-strict` warnings too', 'wrong usage'],
  ['`doctor`', 'all is well', 'something is odd, or could not be seen', 'something is broken'],
  ['`status`', 'ready', 'not ready, or the Corefile on disk was refused', 'wrong usage'],
  ['`top`', 'ended by a key, or with `-once`', '', 'wrong usage'],
  ['`support`', 'complete', 'something is missing: errors.txt in the archive', 'wrong usage'],
  ['`query`', 'a response came', 'the agent drops such a query', 'wrong usage'],
  ['`explain`', 'explained', '', 'wrong usage'],
  ['`observe`', 'a query was shown', 'no query was shown', 'wrong usage'],
  ['`cache get`, `cache dump`', 'found', 'nothing is cached', 'wrong usage'],
  ['`cache flush`', 'done', 'the snapshot was not written', 'wrong usage'],
  ['`cache stats`', 'done', '', 'wrong usage'],
];

function metricsPage(): string {
  const intro =
    "All admin ports export the same series. `coredns_…` series have node-local-dns's names, labels and buckets.\n" +
    '[Runbooks](../runbooks/README.md) say which series are worth an alert.';
  const rowsOf = (prefix: string): string[][] =>
    Object.entries<SeriesSpec>(SERIES)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, spec]) => [code(name), spec.type, labelsOf(spec), spec.help]);
  const head = ['series', 'type', 'labels', 'meaning'];
  const older = Object.entries(OLDER_NAMES).map(([name, { of, labels }]) => [
    code(name),
    code(of),
    labels.map(code).join(', '),
  ]);
  return page('Metrics', intro, [
    `## Series of nodens\n\n${table(head, rowsOf('nodens_'))}`,
    `## Series of CoreDNS and node-local-dns\n\n${table(head, rowsOf('coredns_'))}`,
    '## Older names\n\nExported only where the Corefile says `older_names` in `prometheus`.\n\n' +
      table(['older name', 'computed from', 'labels'], older),
  ]);
}

/** Label names, with the values that are shown from the start. */
function labelsOf({ labels, preset = [] }: SeriesSpec): string {
  return labels
    .map((label) => {
      const values = preset.flatMap((set) => set[label] ?? []);
      return values.length === 0 ? code(label) : `${code(label)}: ${values.join(', ')}`;
    })
    .join(', ');
}

function logsPage(): string {
  const intro =
    'Every warning and error has an `event`. Where a line brings no `remedy` of its own, it has the one from here.\n' +
    '[Operations](../operations.md) describes the format of the lines.';
  return page('Log events', intro, [
    `## Events of the agent\n\n${eventsOf(AGENT_EVENTS)}`,
    `## Events of init\n\n${eventsOf(INIT_EVENTS)}`,
  ]);
}

function eventsOf(events: Readonly<Record<string, LogEvent>>): string {
  return Object.entries(events)
    .map(([name, { level, meaning, remedy, runbook }]) =>
      [
        `### ${code(name)}`,
        `Level: ${level}. ${meaning}`,
        `What to do: ${remedy}. See [${runbook}](../runbooks/${runbook}.md).`,
      ].join('\n\n'),
    )
    .join('\n\n');
}

function page(title: string, intro: string, sections: readonly string[]): string {
  return `${[`# ${title}`, GENERATED, intro, ...sections].join('\n\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(head),
    line(head.map(() => '---')),
    ...rows.map((row) => line(row.map(escaped))),
  ].join('\n');
}

const code = (text: string): string => `\`${text}\``;
const escaped = (cell: string): string => cell.replaceAll('|', '\\|').replaceAll('__', '\\_\\_');
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
