/** What the command line asks for, carried out: run, once, cleanup, observe. */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../agent/base/clock.ts';
import { messageOf, NodensError, UsageError } from '../agent/base/errors.ts';
import { initHelp } from '../agent/base/flags/help.ts';
import { makeProbe } from './agent/probe.ts';
import { cleanUp } from './control/cleanup.ts';
import { FallbackGate } from './control/fallback-readiness.ts';
import { Reconciler } from './control/reconciler.ts';
import { Service } from './control/service.ts';
import { Leftovers } from './control/takeover.ts';
import type { EndpointFollower } from './endpoints/follow.ts';
import { endpointFollower } from './endpoints/setup.ts';
import { Iptables } from './firewall/iptables/backend.ts';
import type { Ownership } from './firewall/nft/backend.ts';
import { NftOwnerProcess } from './firewall/nft/owner-process.ts';
import { allBackends, type Firewall, NoBackendError, selectBackend } from './firewall/select.ts';
import { type Log, makeLog } from './log.ts';
import { type InitAddon, initAddon } from './node/addon.ts';
import { dataPathOf, isServed } from './node/datapath.ts';
import { Link } from './node/link.ts';
import { requireCapability } from './node/privileges.ts';
import { explainStateDir } from './node/state-dir.ts';
import { realSystem as system } from './node/system.ts';
import { type InitOptions, initOptionsFrom, USAGE } from './options.ts';
import { clusterIpFault, clusterIpsOf } from './plan/fallback.ts';
import { KeptIps } from './plan/kept/ips.ts';
import { type Plan, planOf, rulesAt } from './plan/plan.ts';
import { run } from './run.ts';

const log = makeLog(systemClock, (line) => void process.stdout.write(line));

/** Resolves to the exit code. 0: done; 1: could not; 2: the command line is wrong. */
export async function main(argv: readonly string[]): Promise<number> {
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  if (own.includes('--help') || own.includes('-h')) {
    process.stdout.write(`${initHelp()}\n`);
    return 0;
  }
  try {
    return await carryOut(initOptionsFrom(argv));
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`nodens init: ${error.message}\n${USAGE}\n`);
      return 2;
    }
    const stack = error instanceof NodensError ? undefined : (error as Error).stack;
    log.error(messageOf(error), { event: 'init-failed', stack });
    return 1;
  }
}

async function carryOut(options: InitOptions): Promise<number> {
  if (options.mode === 'cleanup') {
    await requireCapability(system, 'NET_ADMIN', 'remove addresses and rules');
    await cleanUp(system, log, planFor(options, options.localIps), options.stateDir);
    return 0;
  }
  const site = await siteOf(options);
  if (options.mode === 'observe') return observe(site);
  if (options.setupInterface || options.setupRules)
    await requireCapability(system, 'NET_ADMIN', 'put addresses and rules on the node');
  warnOfClusterIp(options);
  for (const remark of site.remarks)
    log.warn('interception is limited on this node', {
      event: 'interception-limited',
      reason: remark,
    });
  if (options.mode === 'once') return once(site);
  return stay(site);
}

function warnOfClusterIp({ localIps, clusterDns }: InitOptions): void {
  const serviceHost = process.env.KUBE_DNS_SERVICE_HOST;
  const fault = clusterIpFault({ localIps, asked: clusterDns, serviceHost });
  if (fault !== undefined) log.warn(fault, { event: 'cluster-ip' });
}

async function stay(site: Site): Promise<number> {
  const { options, plan } = site;
  let service: Service | undefined;
  const owner = new NftOwnerProcess(systemClock, () => service?.onOwnerLost());
  try {
    const instance = randomBytes(4).toString('hex');
    const firewall = site.hasRules
      ? await selectFirewall(site, { owner: owner, instance })
      : undefined;
    const endpoints = firewall?.hasFallback === true ? endpointsOf(site) : undefined;
    const gate = gateOf(site, firewall, endpoints);
    const parts = { options, system, clock: systemClock, log };
    const [kept, leftovers] = [keptOf(site, firewall), leftoversOf(site)];
    const addon = addonOrWarning();
    const lend = addon?.lendTable;
    service = new Service({ ...parts, plan, firewall, gate, kept, endpoints, leftovers, lend });
    return await run(service, { ...parts, addon });
  } finally {
    await owner.drop();
  }
}

function addonOrWarning(): InitAddon | undefined {
  const addon = initAddon();
  if (!(addon instanceof Error)) return addon;
  log.warn('cannot load the native addon: query rules of the host do not end with the agent', {
    event: 'init-addon',
    error: addon.message,
  });
  return undefined;
}

/** What is to be done here, after a look at the node. */
interface Site {
  readonly options: InitOptions;
  readonly plan: Plan;
  readonly hasRules: boolean;
  /** What will not be done, and why. */
  readonly remarks: readonly string[];
  readonly fallbackObstacle: string | undefined;
}

function planFor(options: InitOptions, ruleIps: readonly string[]): Plan {
  const { localIps, clusterDns } = options;
  const serviceHost = process.env.KUBE_DNS_SERVICE_HOST;
  const clusterIps = clusterIpsOf({ localIps, asked: clusterDns, serviceHost });
  const plan = planOf({ ...options, localIps: ruleIps, clusterIps });
  return { ...plan, addresses: localIps };
}

async function siteOf(options: InitOptions): Promise<Site> {
  const { localIps } = options;
  const dataPath = options.force || !options.setupRules ? undefined : await dataPathOf(system);
  const site = { options, hasRules: options.setupRules, fallbackObstacle: undefined };
  if (dataPath?.kind === 'ebpf') {
    const remark =
      `${dataPath.reason}. It bypasses netfilter rules, so none are installed: have pods ask the ` +
      'link-local address, or use --force';
    return { ...site, plan: planFor(options, localIps), hasRules: false, remarks: [remark] };
  }
  if (dataPath?.kind === 'ipvs') {
    const { clusterIps } = planFor(options, localIps);
    const kept = localIps.filter((ip) => !clusterIps.includes(ip));
    const left = localIps.filter((ip) => !kept.includes(ip)).join(', ');
    const remark = `${dataPath.reason}: rules for the other local IPs only${left && `, not for ${left}`}`;
    return {
      ...site,
      plan: planFor(options, kept),
      remarks: [remark],
      fallbackObstacle: dataPath.reason,
    };
  }
  return { ...site, plan: planFor(options, localIps), remarks: [] };
}

/** Only who stays can follow endpoints: rules to what may be another pod tomorrow are worse than none. */
function endpointsOf({ options, plan }: Site): EndpointFollower | undefined {
  const service = options.fallbackService;
  if (service === undefined) return undefined;
  return endpointFollower({ service, plan, env: process.env, system, clock: systemClock, log });
}

function gateOf(
  { plan, fallbackObstacle }: Site,
  firewall: Firewall | undefined,
  endpoints?: EndpointFollower,
): FallbackGate {
  const noNft =
    firewall?.hasFallback === false ? 'it needs nft, and a kernel that takes it' : undefined;
  return new FallbackGate({
    rules: plan.rules,
    isServed: (address) => isServed(system, address),
    obstacle: fallbackObstacle ?? noNft,
    endpoints,
    log,
  });
}

function keptOf({ options, plan }: Site, firewall: Firewall | undefined): KeptIps {
  const standingIps = async () => firewall?.standingIps() ?? [];
  const link = options.setupInterface ? new Link(system.run, log, plan) : undefined;
  const parts = { system, clock: systemClock, log, plan, standingIps, link };
  return new KeptIps({ ...parts, options: { ...options, clusterIps: plan.clusterIps } });
}

function leftoversOf({ options, plan, hasRules }: Site): Leftovers {
  return new Leftovers({
    ...{ system, clock: systemClock, log, plan, port: options.port },
    probe: makeProbe(systemClock, options.probePorts),
    tables: async () =>
      hasRules ? (await allBackends(system)).filter((one) => one instanceof Iptables) : [],
    ownsAddresses: options.setupInterface,
    syncIntervalMs: options.syncIntervalMs,
  });
}

async function selectFirewall({ options, plan }: Site, ownership?: Ownership): Promise<Firewall> {
  const { rules } = plan;
  const firewall = await selectBackend(system, options.backend, rules, ownership, {
    foreign: (table) => log.info('left a table of another nodens version unchanged', { table }),
    without: (what, error) =>
      log.warn('kernel rejected an optional feature; continuing without it', {
        event: 'kernel-feature',
        what,
        error,
      }),
  });
  if (firewall.name === 'iptables-legacy')
    await requireCapability(system, 'NET_RAW', 'use iptables-legacy');
  return firewall;
}

/** Nobody stays who could withdraw: only the rules that die with the agent's socket. */
async function once(site: Site): Promise<number> {
  const { options, plan } = site;
  const firewall = site.hasRules ? await selectFirewall(site) : undefined;
  const gate = gateOf(site, firewall);
  const kept = keptOf(site, firewall);
  const reconciler = new Reconciler({
    link: options.setupInterface ? new Link(system.run, log, plan) : undefined,
    firewall,
    rules: async () => kept.rules(await gate.rules()),
    clock: systemClock,
    log,
    syncIntervalMs: options.syncIntervalMs,
    onChange: () => undefined,
  });
  const complete = await reconciler.want('socket-guarded');
  reconciler.stop();
  await leftoversOf(site).takeOver();
  if (complete) log.info('set up', { backend: firewall?.name, reason: firewall?.reason });
  return complete ? 0 : 1;
}

async function observe(site: Site): Promise<number> {
  const { options, plan } = site;
  const lines = site.remarks.map((remark) => `# ${remark}`);
  if (options.setupInterface) lines.push(...(await new Link(system.run, quiet, plan).explain()));
  if (options.stateDir !== undefined) lines.push(...(await explainStateDir(options.stateDir)));
  lines.push(...(await leftoversOf(site).explain()));
  if (site.hasRules) lines.push(...(await observeRules(site)));
  process.stdout.write(`${lines.join('\n').trimEnd()}\n`);
  return 0;
}

async function observeRules({ options, plan, fallbackObstacle }: Site): Promise<string[]> {
  const { fallback } = plan.rules;
  const rewrites = fallbackObstacle === undefined ? fallback.rewrites : [];
  const rules = { ...plan.rules, fallback: { ...fallback, rewrites } };
  try {
    const firewall = await selectBackend(system, options.backend, plan.rules, undefined);
    const text = firewall.explain(rulesAt(rules, 'full'));
    const led = fallback.endpointDnats.filter(
      ({ from }) => !rewrites.some((rule) => rule.from === from),
    );
    const direct = led.map(
      ({ from }) => `# and behind ${from} the endpoints of ${options.fallbackService ?? 'nothing'}`,
    );
    return [`# backend ${firewall.name}: ${firewall.reason}`, text, ...direct];
  } catch (error) {
    if (error instanceof NoBackendError) return [`# no backend: ${error.message}`];
    throw error;
  }
}

const quiet: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
