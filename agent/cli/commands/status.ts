/** `nodens status`: one screen about the running agent. */
import { UsageError } from '../../base/errors.ts';
import type { FlagValues } from '../../base/flags/parse.ts';
import { duration, milliseconds, percent, size } from '../../base/text/amounts.ts';
import type { StatusLine } from '../../operator/protocol.ts';
import { upstreamRows } from '../../operator/upstream-rows.ts';
import type { ReadApi } from '../cluster/api.ts';
import { maxWords, runCommand } from './arguments.ts';
import { askOnce } from './asking.ts';
import { withoutLine } from './cache.ts';
import { print, printJson, table } from './print.ts';

/** Flags that mean nothing without -all: a script that waits for a rollout must not go on at once. */
const OF_ALL = ['wait', 'wait-duration', 'namespace', 'selector', 'kubeconfig', 'context'];

/** Resolves to the exit code (see the help text). `api` replaces that of -all. Throws UsageError. */
export function statusCommand(argv: readonly string[], api?: ReadApi): Promise<number> {
  return runCommand(argv, 'status', async ({ words, values, isJson, paths }) => {
    maxWords(words, 0);
    if (values.all === 'true') return await ofCluster(values, isJson, api);
    const needsAll = OF_ALL.find((name) => values[name] !== undefined);
    if (needsAll !== undefined) throw new UsageError(`flag -${needsAll} needs -all`);
    const status = await askOnce({ command: 'status' }, paths, 'status');
    await (isJson ? printJson(withoutLine(status)) : print(statusText(status)));
    return status.isReady && status.isConfigurationValid ? 0 : 1;
  });
}

/** The client of the API is loaded only for this. */
async function ofCluster(
  values: FlagValues,
  isJson: boolean,
  given: ReadApi | undefined,
): Promise<number> {
  const { statusAll, statusAllOptions } = await import('../cluster/status-all.ts');
  const options = statusAllOptions(values, isJson);
  if (given !== undefined) return await statusAll(given, options);
  const { clusterApi } = await import('../cluster/api.ts');
  const { kubeconfig, context } = values;
  return await statusAll(await clusterApi({ kubeconfig, context, env: process.env }), options);
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
