/** `npm run lab`: a one-machine cluster in network namespaces, with nodens on its node and real clients in its pods. */
import { parseArgs } from 'node:util';
import { sweepOrphans, sweepOwn } from '../support/cluster/names.ts';
import { PROXIES, type ProxyKind } from '../support/cluster/proxy/proxy.ts';
import { hasProgram, isRoot } from '../support/packages.ts';
import { Report } from './report.ts';
import { runScenario, setStage } from './scenario.ts';
import { leaveUp } from './shell.ts';
import { searchLists } from './steps/search-lists.ts';

const HELP = `Usage: sudo npm run lab -- [--proxy iptables|nft|both] [--lookups N] [--shell]

Builds a cluster of one node, two pods, two kube-dns backends and an internet resolver in network namespaces, runs
nodens on the node as its DaemonSet would, lets real clients ask, stops the upstreams and brings them back, stops
nodens. Then it shows what search lists cost with nxdomain_probe and autopath, and without. Everything is taken down at the end, on Ctrl-C too. Exit code 0 only if every expectation held.

  --proxy KIND  how the stand-in for kube-proxy hands the VIP to kube-dns (default: both, one after the other)
  --lookups N   how many lookups are compared while pods' addresses change hands (default: 10000, about a minute)
  --shell       bring the cluster up with nodens running, say how to enter it, take it down on Enter or Ctrl-C
  --help        this text
`;

const PROGRAMS = [
  'ip',
  'nft',
  'iptables',
  'conntrack',
  'setpriv',
  'unbound',
  'dig',
  'kdig',
  'gcc',
  'musl-gcc',
];

interface Options {
  readonly kinds: readonly ProxyKind[];
  readonly shell: boolean;
  readonly lookups: number;
}

/** Undefined where the command line asks for help or is wrong; the text for it has then been written. */
function options(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        proxy: { type: 'string', default: 'both' },
        lookups: { type: 'string', default: '10000' },
        shell: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const kinds = PROXIES.filter((kind) => values.proxy === kind || values.proxy === 'both');
    if (values.help) {
      process.stdout.write(HELP);
      return undefined;
    }
    if (kinds.length === 0) throw new Error(`--proxy ${values.proxy}: not iptables, nft or both`);
    const lookups = Number(values.lookups);
    if (!(lookups >= 1)) throw new Error(`--lookups ${values.lookups}: not a number from 1 on`);
    return { kinds, shell: values.shell, lookups };
  } catch (error) {
    process.exitCode = 2;
    process.stderr.write(`lab: ${(error as Error).message}\n\n${HELP}`);
    return undefined;
  }
}

async function main({ kinds, shell, lookups }: Options): Promise<void> {
  const report = new Report((text) => process.stdout.write(text));
  for (const kind of shell ? kinds.slice(0, 1) : kinds) {
    report.act(`kube-proxy by ${kind}`);
    try {
      const fixture = await setStage(kind, report, lookups);
      try {
        await (shell ? leaveUp(fixture) : runScenario(fixture));
        // What kube-proxy is makes no difference to it.
        if (!shell && kind === kinds.at(-1)) await searchLists(fixture);
      } finally {
        fixture.cluster.down();
      }
    } catch (error) {
      report.broke(error);
    }
  }
  report.summary();
  process.exitCode = report.allHeld ? 0 : 1;
}

/** Why the lab cannot run here, undefined where it can. */
function obstacle(): string | undefined {
  if (!isRoot) return 'network namespaces need root: sudo npm run lab';
  const missing = PROGRAMS.filter((program) => !hasProgram(program));
  if (missing.length === 0) return undefined;
  return `not installed: ${missing.join(', ')} (sudo npm test installs what it needs)`;
}

function takeDownOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      sweepOwn();
      process.exit(130);
    });
  }
}

const chosen = options();
const reason = chosen && obstacle();
if (reason !== undefined) {
  process.stderr.write(`lab: ${reason}\n`);
  process.exitCode = 2;
} else if (chosen !== undefined) {
  takeDownOnSignals();
  sweepOrphans();
  await main(chosen);
}
