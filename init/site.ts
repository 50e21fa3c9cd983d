/** The parts of init as one node needs them: which addresses, rules and obstacles there are. */
import { makeProbe } from './agent/probe.ts';
import { FallbackReadiness } from './control/fallback-readiness.ts';
import { KeptIps } from './control/kept-ips.ts';
import { NodeLocalDnsTakeover } from './control/takeover.ts';
import type { EndpointFollower } from './endpoints/follow.ts';
import { endpointFollower } from './endpoints/setup.ts';
import type { Environment } from './environment.ts';
import { Iptables } from './firewall/iptables/backend.ts';
import type { Ownership } from './firewall/nft/backend.ts';
import { allBackends, type Firewall, selectBackend } from './firewall/select.ts';
import { dataPathOf } from './node/datapath.ts';
import { Link } from './node/link.ts';
import { requireCapability } from './node/privileges.ts';
import { isServed } from './node/served.ts';
import type { InitOptions } from './options.ts';
import { allRules } from './plan/desired-rules.ts';
import { clusterIpsOf } from './plan/fallback.ts';
import { type Plan, planOf } from './plan/plan.ts';

/** What init has to do on this node, after a look at its data path. */
export interface Site {
  readonly environment: Environment;
  readonly options: InitOptions;
  readonly plan: Plan;
  readonly hasRules: boolean;
  /** What will not be done, and why. */
  readonly remarks: readonly string[];
  readonly fallbackObstacle: string | undefined;
}

/**
 * The plan with rules for `ruleIps` only, but with the addresses of all local IPs. Looks only at the environment
 * variables.
 */
export function planFor(
  { env }: Environment,
  options: InitOptions,
  ruleIps: readonly string[],
): Plan {
  const { localIps, clusterDns } = options;
  const serviceHost = env.KUBE_DNS_SERVICE_HOST;
  const clusterIps = clusterIpsOf({ localIps, asked: clusterDns, serviceHost });
  const plan = planOf({ ...options, localIps: ruleIps, clusterIps });
  return { ...plan, addresses: localIps };
}

/**
 * Looks at the data path, and decides which rules this node can have: none where eBPF bypasses netfilter, and none for
 * local IPs that are ClusterIPs in IPVS mode. `--force` and `--setupiptables=false` skip that look. Changes nothing.
 */
export async function siteOf(environment: Environment, options: InitOptions): Promise<Site> {
  const { system } = environment;
  const { localIps } = options;
  const dataPath = options.force || !options.setupRules ? undefined : await dataPathOf(system);
  const site = { environment, options, hasRules: options.setupRules, fallbackObstacle: undefined };
  if (dataPath?.kind === 'ebpf') {
    const remark =
      `${dataPath.reason}. It bypasses netfilter rules, so none are installed: have pods ask the ` +
      'link-local address, or use --force';
    return {
      ...site,
      plan: planFor(environment, options, localIps),
      hasRules: false,
      remarks: [remark],
    };
  }
  if (dataPath?.kind === 'ipvs') {
    const { clusterIps } = planFor(environment, options, localIps);
    const kept = localIps.filter((ip) => !clusterIps.includes(ip));
    const left = localIps.filter((ip) => !kept.includes(ip)).join(', ');
    const remark = `${dataPath.reason}: rules for the other local IPs only${left && `, not for ${left}`}`;
    return {
      ...site,
      plan: planFor(environment, options, kept),
      remarks: [remark],
      fallbackObstacle: dataPath.reason,
    };
  }
  return { ...site, plan: planFor(environment, options, localIps), remarks: [] };
}

/** For an init that stays. Rules to an endpoint that no process follows may lead to another pod tomorrow. */
export function endpointsOf(
  { environment, options, plan }: Site,
  pass: () => Promise<boolean>,
): EndpointFollower | undefined {
  const service = options.fallbackService;
  if (service === undefined) return undefined;
  return endpointFollower({ service, plan, pass, ...environment });
}

/** The fallback of this node. `endpoints` is absent where no process stays to follow kube-dns's endpoints. */
export function fallbackOf(
  { environment: { system, log }, plan, fallbackObstacle }: Site,
  firewall: Firewall | undefined,
  endpoints?: EndpointFollower,
): FallbackReadiness {
  const noNft =
    firewall?.hasFallback === false ? 'it needs nft, and a kernel that takes it' : undefined;
  return new FallbackReadiness({
    possible: plan.fallback,
    isServed: (address) => isServed(system, address),
    obstacle: fallbackObstacle ?? noNft,
    isFault: noNft !== undefined,
    endpoints,
    log,
  });
}

/** Watches local IPs of earlier settings. `pass` is one pass of the reconciler, which removes their rules. */
export function keptOf(
  { environment: { system, clock, log }, options, plan }: Site,
  firewall: Firewall | undefined,
  pass: () => Promise<boolean>,
): KeptIps {
  const standingIps = async () => firewall?.standingIps() ?? [];
  const link = options.setupInterface ? new Link(system.run, log, plan) : undefined;
  return new KeptIps({ system, clock, log, plan, standingIps, pass, link });
}

/** The takeover from a dead node-local-dns; it looks for iptables rules only where init installs rules of its own. */
export function takeoverOf({ environment, options, plan, hasRules }: Site): NodeLocalDnsTakeover {
  const { system, clock, log } = environment;
  return new NodeLocalDnsTakeover({
    ...{ system, clock, log, plan, port: options.port },
    probe: makeProbe(clock, options.probePorts),
    tables: async () =>
      hasRules ? (await allBackends(system)).filter((one) => one instanceof Iptables) : [],
    ownsAddresses: options.setupInterface,
    syncIntervalMs: options.syncIntervalMs,
  });
}

/**
 * Selects the backend and logs what the kernel rejects. Rejects with `NoBackendError`, or with `PrivilegeError` where
 * iptables-legacy lacks CAP_NET_RAW.
 */
export async function selectFirewall(
  { environment: { system, log }, options, plan }: Site,
  ownership?: Ownership,
): Promise<Firewall> {
  const firewall = await selectBackend(system, options.backend, allRules(plan), ownership, {
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
