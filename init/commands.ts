/** What the command line asks for, carried out: run, once, cleanup, observe. */
import { commandHelp } from '../agent/base/commands/table.ts';
import { messageOf, NodensError, UsageError } from '../agent/base/errors.ts';
import { cleanUp } from './control/cleanup.ts';
import { Reconciler } from './control/reconciler.ts';
import { lookAtNode } from './control/rule-state.ts';
import { NO_ENDPOINTS } from './endpoints/set.ts';
import { asResident, type Environment, realEnvironment } from './environment.ts';
import { NoBackendError, selectBackend } from './firewall/select.ts';
import type { Log } from './log.ts';
import { Link } from './node/link.ts';
import { requireCapability } from './node/privileges.ts';
import { explainStateDir } from './node/state-dir.ts';
import { type InitOptions, initOptionsFrom, USAGE } from './options.ts';
import { allRules, desiredRules } from './plan/desired-rules.ts';
import { clusterIpFault, unserved } from './plan/fallback.ts';
import {
  fallbackOf,
  keptOf,
  planFor,
  type Site,
  selectFirewall,
  siteOf,
  takeoverOf,
} from './site.ts';
import { stay } from './stay.ts';

/** Resolves to the exit code. 0: done; 1: could not; 2: the command line is wrong. */
export async function main(
  argv: readonly string[],
  environment: Environment = realEnvironment(),
): Promise<number> {
  const { log, print, complain } = environment;
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  if (own.includes('--help') || own.includes('-h')) {
    print(commandHelp('init'));
    return 0;
  }
  try {
    return await carryOut(environment, initOptionsFrom(argv));
  } catch (error) {
    if (error instanceof UsageError) {
      complain(`nodens init: ${error.message}\n${USAGE}\n`);
      return 2;
    }
    const stack = error instanceof NodensError ? undefined : (error as Error).stack;
    log.error(messageOf(error), { event: 'init-failed', stack });
    return 1;
  }
}

async function carryOut(given: Environment, options: InitOptions): Promise<number> {
  const environment = options.mode === 'run' ? asResident(given) : given;
  const { system, log } = environment;
  if (options.mode === 'cleanup') {
    await requireCapability(system, 'NET_ADMIN', 'remove addresses and rules');
    const plan = planFor(environment, options, options.localIps);
    await cleanUp(system, log, plan, options.stateDir);
    return 0;
  }
  const site = await siteOf(environment, options);
  if (options.mode === 'observe') return observe(site);
  if (options.setupInterface || options.setupRules)
    await requireCapability(system, 'NET_ADMIN', 'put addresses and rules on the node');
  warnOfClusterIp(environment, options);
  for (const remark of site.remarks)
    log.warn('interception is limited on this node', {
      event: 'interception-limited',
      reason: remark,
    });
  if (options.mode === 'once') return once(site);
  return stay(site);
}

function warnOfClusterIp({ env, log }: Environment, { localIps, clusterDns }: InitOptions): void {
  const serviceHost = env.KUBE_DNS_SERVICE_HOST;
  const fault = clusterIpFault({ localIps, asked: clusterDns, serviceHost });
  if (fault !== undefined) log.warn(fault, { event: 'cluster-ip' });
}

/** No init stays that could withdraw: it installs only the rules that end with the agent's socket. */
async function once(site: Site): Promise<number> {
  const { environment, options, plan } = site;
  const { system, clock, log } = environment;
  const firewall = site.hasRules ? await selectFirewall(site) : undefined;
  const fallback = fallbackOf(site, firewall);
  const kept = keptOf(site, firewall, () => reconciler.pass());
  const reconciler = new Reconciler({
    link: options.setupInterface ? new Link(system.run, log, plan) : undefined,
    firewall,
    plan,
    look: () => lookAtNode({ firewall, fallback, kept }),
    clock,
    log,
    syncIntervalMs: options.syncIntervalMs,
    onChange: () => undefined,
  });
  const complete = await reconciler.want('socket-guarded');
  reconciler.stop();
  await takeoverOf(site).takeOver();
  if (complete) log.info('set up', { backend: firewall?.name, reason: firewall?.reason });
  return complete ? 0 : 1;
}

async function observe(site: Site): Promise<number> {
  const { environment, options, plan } = site;
  const { system, print } = environment;
  const lines = site.remarks.map((remark) => `# ${remark}`);
  if (options.setupInterface) lines.push(...(await new Link(system.run, quiet, plan).explain()));
  if (options.stateDir !== undefined) lines.push(...(await explainStateDir(options.stateDir)));
  lines.push(...(await takeoverOf(site).explain()));
  if (site.hasRules) lines.push(...(await observeRules(site)));
  print(`${lines.join('\n').trimEnd()}\n`);
  return 0;
}

async function observeRules({
  environment: { system },
  options,
  plan,
  fallbackObstacle,
}: Site): Promise<string[]> {
  try {
    const firewall = await selectBackend(system, options.backend, allRules(plan), undefined);
    const { hasTcpAffinity, hasFallback } = firewall;
    const servedIps = fallbackObstacle === undefined ? plan.clusterIps : [];
    const rules = desiredRules(plan, {
      ...{ interception: 'full', hasTcpAffinity, hasFallback, servedIps },
      ...{ endpoints: NO_ENDPOINTS, keptIps: [], removedIps: [] },
    });
    const toEndpoints = unserved(plan.fallback, servedIps).map(
      ({ from }) => `# and behind ${from} the endpoints of ${options.fallbackService ?? 'nothing'}`,
    );
    const head = `# backend ${firewall.name}: ${firewall.reason}`;
    return [head, firewall.explain(rules), ...toEndpoints];
  } catch (error) {
    if (error instanceof NoBackendError) return [`# no backend: ${error.message}`];
    throw error;
  }
}

const quiet: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
