/** docs/performance.md, written from the results of a full run. */
import { goalCells } from './goals.ts';
import { cells, footprintCells, type Results } from './results.ts';
import { PACE_QPS } from './rounds.ts';

function markdown(lines: readonly (readonly string[])[]): string {
  const [head = [], ...body] = lines;
  const row = (line: readonly string[]): string => `| ${line.join(' | ')} |`;
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [row(head), row(rule), ...body.map(row)].join('\n');
}

function machineText({ machine }: Results): string {
  const versions = Object.entries(machine.versions).map(([name, text]) => `${name} ${text}`);
  return `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}; ${versions.join(', ')}. Run of ${machine.date}, load average before it ${machine.load.toFixed(2)}.`;
}

export function page(results: Results): string {
  const { rounds, seconds, soakSeconds, tables, longestPauseMs } = results;
  const pause =
    longestPauseMs === undefined
      ? ''
      : `\nThe longest pause of nodens' garbage collector in that time was ${longestPauseMs.toFixed(1)} ms.\n`;
  return `# Performance

\`npm run bench\` writes this page, with figures and plot. \`npm run bench -- --quick\` prints the same table in two minutes and does not change the page.

![µs of CPU per question](performance.svg)

CPU is in microseconds per answered question; *nodens ÷* is the total of nodens divided by the total of the row. p50, p99 and p99.9 are microseconds at ${PACE_QPS / 1_000}k questions per second.

${tables.map((table) => `## ${table.title}\n\n${markdown(cells(table))}`).join('\n\n')}

## Memory and start

A fresh process, 10,000 names, ${soakSeconds} s at full speed; *start* is from exec to the first answer.

${markdown(footprintCells(results))}
${pause}
## Goals

${markdown(goalCells(results))}

## Method

- Server on core 0, everything else on core 1, over the loopback. All servers run the whole time, and each gets load for a while before the first round of a scenario; in each of ${rounds} round${rounds === 1 ? '' : 's'} each is queried in turn for ${seconds} s. Figures are medians.
- Load is dnsperf, 200 open questions over 10 sockets. Latencies come from a paced sender (\`test/bench/programs/latency.c\`) that measures from the time when a question was due, so a stall of the server counts for all waiting questions.
- CPU is the time in /proc of the process, its threads and its children, divided by the answers that dnsperf got.
- *baseline* is \`test/bench/programs/baseline.c\`: recvmmsg, two bits changed, sendmmsg. No server that uses these system calls can be cheaper.
- Every cache may hold 30,000 entries and is warm before a scenario of hits. The upstream of misses is \`test/bench/programs/upstream.c\`, on the load's core. *lost* are questions without an answer after a second.
- nodens runs as in the image, with metrics on; *nodens-dgram* is nodens without its compiled addon (\`NODENS_UDP=dgram\`).
- To measure another server, set \`BENCH_PEER_<NAME>="command with {port} {upstream}"\`.

Machine: ${machineText(results)}
`;
}
