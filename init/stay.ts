/** `nodens init` as it stays: puts its parts together. */
import { randomBytes } from 'node:crypto';
import { releaseRegularly } from '../agent/base/pages.ts';
import { listenControl } from './agent/control-socket.ts';
import { isRedirectedToAgent, makeProbe, probeAll } from './agent/probe.ts';
import { reapOrphans } from './agent/reaping.ts';
import { startAgent } from './agent/supervisor.ts';
import type { ServiceEdge } from './control/edge.ts';
import { Service } from './control/service.ts';
import { NftOwnerProcess } from './firewall/nft/owner-process.ts';
import type { Log } from './log.ts';
import { type InitAddon, initAddon } from './node/addon.ts';
import { startMonitor } from './node/monitor.ts';
import { type RunEdge, run } from './run.ts';
import { endpointsOf, fallbackOf, keptOf, leftoversOf, type Site, selectFirewall } from './site.ts';

/** Runs until a signal or the child's end; resolves to the exit code. */
export async function stay(site: Site): Promise<number> {
  const { environment, options, plan } = site;
  const { system, clock, log } = environment;
  let service: Service | undefined;
  const owner = new NftOwnerProcess(clock, () => service?.onOwnerLost());
  try {
    const instance = randomBytes(4).toString('hex');
    const firewall = site.hasRules ? await selectFirewall(site, { owner, instance }) : undefined;
    const endpoints = firewall?.hasFallback === true ? endpointsOf(site) : undefined;
    const fallback = fallbackOf(site, firewall, endpoints);
    const parts = { options, system, clock, log };
    const [kept, leftovers] = [keptOf(site, firewall), leftoversOf(site)];
    const addon = addonOrWarning(log);
    if (addon !== undefined) releaseRegularly(addon, clock);
    service = new Service({
      ...{ ...parts, plan, firewall, fallback, kept, endpoints, leftovers },
      edge: serviceEdge(site),
    });
    return await run(service, { ...parts, edge: runEdge(site, addon) });
  } finally {
    await owner.drop();
  }
}

function addonOrWarning(log: Log): InitAddon | undefined {
  const addon = initAddon();
  if (!(addon instanceof Error)) return addon;
  log.warn('cannot load the native addon: init takes more memory', {
    event: 'init-addon',
    error: addon.message,
  });
  return undefined;
}

function serviceEdge({ environment: { clock }, options, plan }: Site): ServiceEdge {
  const probe = makeProbe(clock, options.probePorts);
  return {
    listen: listenControl,
    monitor: startMonitor,
    probe: () => probeAll(probe, plan.interceptedIps, options.port),
    reachesAgent: (ip) => isRedirectedToAgent(clock, ip, options.port),
  };
}

function runEdge({ environment: { system, log } }: Site, addon: InitAddon | undefined): RunEdge {
  return {
    signals: process,
    startAgent: (args, socketPath) => {
      reapOrphans(addon);
      return startAgent(system, log, args, socketPath);
    },
  };
}
