/** `nodens init` as it stays: puts its parts together. */
import { randomBytes } from 'node:crypto';
import { messageOf } from '../agent/base/errors.ts';
import { releaseRegularly } from '../agent/base/pages.ts';
import { listenControl } from './agent/control-socket.ts';
import { isRedirectedToAgent, makeProbe, probeAll } from './agent/probe.ts';
import { reapChildren } from './agent/reaping.ts';
import { startAgent } from './agent/supervisor.ts';
import type { ServiceEdge } from './control/edge.ts';
import { Lifecycle } from './control/lifecycle.ts';
import { Reconciler } from './control/reconciler.ts';
import { lookAtNode } from './control/rule-state.ts';
import { Service } from './control/service.ts';
import { NetlinkOwner } from './firewall/nft/netlink-owner.ts';
import { NftOwnerProcess } from './firewall/nft/owner-process.ts';
import type { Log } from './log.ts';
import { subscribeBy } from './netlink/socket.ts';
import { type InitAddon, initAddon } from './node/addon.ts';
import { collectRegularly } from './node/garbage.ts';
import { Link } from './node/link.ts';
import { startMonitor } from './node/monitor.ts';
import { nameProcess } from './node/proc.ts';
import { prepareStateDir } from './node/state-dir.ts';
import { endpointsOf, fallbackOf, keptOf, type Site, selectFirewall, takeoverOf } from './site.ts';

/** Runs until a signal or the child's end; resolves to the exit code. */
export async function stay(site: Site): Promise<number> {
  const { environment, options, plan } = site;
  const { system, clock, log } = environment;
  nameProcess('nodens-init');
  const lifecycle = new Lifecycle();
  const addon = addonOrWarning(log);
  const owner =
    addon === undefined
      ? new NftOwnerProcess(clock, () => lifecycle.send('owner-ended'))
      : new NetlinkOwner(addon);
  try {
    // Rules depend on endpoints and kept local IPs; a change of these asks for a pass over the rules.
    const pass = (): Promise<boolean> => reconciler.pass();
    const instance = randomBytes(4).toString('hex');
    const firewall = site.hasRules ? await selectFirewall(site, { owner, instance }) : undefined;
    const endpoints = firewall?.hasFallback === true ? endpointsOf(site, pass) : undefined;
    const fallback = fallbackOf(site, firewall, endpoints);
    const [kept, takeover] = [keptOf(site, firewall, pass), takeoverOf(site)];
    if (addon !== undefined) releaseRegularly(addon, clock);
    collectRegularly(clock);
    if (options.stateDir !== undefined) void prepareStateDir(options.stateDir, log);
    const reconciler = new Reconciler({
      link: options.setupInterface ? new Link(system.run, log, plan) : undefined,
      firewall,
      plan,
      look: () => lookAtNode({ firewall, fallback, kept }),
      isPending: () => firewall !== undefined && fallback.isPending,
      ...{ clock, log, syncIntervalMs: options.syncIntervalMs },
      onChange: () => service.onRules(),
    });
    const service = new Service({
      ...{ lifecycle, options, plan, firewall, reconciler, fallback, kept, takeover, endpoints },
      ...{ edge: edgeOf(site, addon), system, clock, log },
    });
    return await service.run();
  } finally {
    await owner.drop();
  }
}

function addonOrWarning(log: Log): InitAddon | undefined {
  const addon = initAddon();
  if (!(addon instanceof Error)) return addon;
  log.warn('cannot load the native addon: init takes more memory and checks its rules every 5 s', {
    event: 'init-addon',
    error: addon.message,
  });
  return undefined;
}

function edgeOf(
  { environment: { system, clock, log }, options, plan }: Site,
  addon: InitAddon | undefined,
): ServiceEdge {
  const probe = makeProbe(clock, options.probePorts);
  return {
    listen: listenControl,
    monitor: (options) =>
      startMonitor({
        ...options,
        subscribe: addon && subscribeBy(addon),
        onBlind: (reason) =>
          log.warn('kernel rejected an optional feature; continuing without it', {
            event: 'kernel-feature',
            what: 'notices of changed addresses and rules',
            error: messageOf(reason),
          }),
      }),
    probe: () => probeAll(probe, plan.interceptedIps, options.port),
    reachesAgent: (ip) => isRedirectedToAgent(clock, ip, options.port),
    signals: process,
    startAgent: (args, socketPath) => {
      reapChildren(addon);
      return startAgent(system, log, args, socketPath);
    },
  };
}
