/** The pages in docs/reference, generated from the tables in code. */

import { COMMANDS } from '../../../agent/base/commands/table.ts';
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

function flagsPage(): string {
  const intro =
    'A flag takes one dash or two. Its value follows after a space or an equals sign. A switch is on when it is\n' +
    'given; `-quiet=false` turns it off. `nodens COMMAND --help` prints the same list.';
  const dropIn = section('drop-in', 'nodens -localip … -conf …', 'init and agent in one container');
  const sections = COMMANDS.map(({ command, usage, summary, exitCodes }) => {
    const words = usage.length > 20 ? '' : ` ${usage}`;
    const text = `${section(command, `nodens ${command}${words}`.trimEnd(), summary)}`;
    return `${text}\n\n${exitCodes.replaceAll('\n', ' ')}`;
  });
  return page('Flags', intro, [dropIn, ...sections]);
}

function section(command: CommandName, title: string, summary: string): string {
  const rows = flagsOf(command).map((flag) => [
    [flag.name, ...(flag.aliases ?? [])].map((name) => code(`-${name}`)).join(', '),
    flag.value ?? 'switch',
    flag.default === undefined ? (flag.defaultText ?? '') : code(flag.default),
    flag.help,
  ]);
  const flags =
    rows.length === 0 ? '' : `\n\n${table(['flag', 'value', 'default', 'meaning'], rows)}`;
  return `## ${title}\n\n${sentence(summary)}${flags}`;
}

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
