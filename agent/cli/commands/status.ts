/** `nodens status`: one screen about the running agent. */
import type { StatusLine } from '../../operator/protocol.ts';
import { maxWords, runCommand } from './arguments.ts';
import { askOnce } from './asking.ts';
import { withoutLine } from './cache.ts';
import { duration, milliseconds, percent, print, printJson, size, table } from './print.ts';
import { upstreamRows } from './upstream-rows.ts';

/** Resolves to the exit code (see the help text). Throws UsageError. */
export function statusCommand(argv: readonly string[]): Promise<number> {
  return runCommand(argv, 'status', async ({ words, isJson, paths }) => {
    maxWords(words, 0);
    const status = await askOnce({ command: 'status' }, paths, 'status');
    await (isJson ? printJson(withoutLine(status)) : print(statusText(status)));
    return status.isReady && status.isConfigurationValid ? 0 : 1;
  });
}

/** The screen. */
export function statusText(status: StatusLine): string {
  const { cache, clientMemory } = status;
  const validity = status.isConfigurationValid
    ? 'in force'
    : 'in force; THE COREFILE ON DISK IS WRONG and was refused';
  const rows: [string, string][] = [
    ['nodens', `${status.version}, process ${status.pid}, ${size(status.residentBytes)} resident`],
    ['since', `${status.startedAt} (${duration(status.uptimeSeconds)})`],
    ['configuration', `${status.configuration} ${validity}`],
    ['ready', status.isReady ? 'yes' : `NO: ${status.notReady.join(', ')}`],
    ['interception', status.interception],
    ['listens on', status.listeners.join(', ') || 'nothing yet'],
    [
      'cache',
      `${size(cache.bytes)} of ${size(cache.limitBytes)}, ${cache.answers} answers, ` +
        `${cache.denials} denials and failures`,
    ],
    ['client memory', `${size(clientMemory.bytes)} of ${size(clientMemory.limitBytes)}`],
    [
      'queries',
      `${status.queries} (${percent(status.hits, status.hits + status.misses)} hits, ${status.stale} stale, ` +
        `${status.failures} SERVFAIL), ${status.inFlight} in flight`,
    ],
  ];
  const facts = rows.map(([name, value]) => `${name.padEnd(15)}${value}\n`).join('');
  return `${facts}\n${upstreamTable(status)}`;
}

/** One line for each address, worst first. */
export function upstreamTable({ upstreams }: StatusLine): string {
  if (upstreams.length === 0) return 'no upstreams\n';
  const rows = upstreamRows(upstreams)
    .toSorted((a, b) => Number(a.state === 'up') - Number(b.state === 'up'))
    .map(({ to, state, latencyMs, queries, failures, connections }) => [
      to,
      state,
      milliseconds(latencyMs),
      String(queries),
      String(failures),
      String(connections),
    ]);
  return table(['UPSTREAM', 'STATE', '>LATENCY', '>QUERIES', '>FAILURES', '>OPEN'], rows);
}
