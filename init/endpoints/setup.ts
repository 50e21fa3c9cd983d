/** Sets up the follower of kube-dns's endpoints: the servers that it asks, and what it reads and changes on the node. */
import { type Endpoint, familyOf } from '../../agent/base/address.ts';
import type { Clock } from '../../agent/base/clock.ts';
import { fallbackEndpoints } from '../firewall/nft/fallback.ts';
import type { Log } from '../log.ts';
import { CommandError } from '../node/exec.ts';
import type { System } from '../node/system.ts';
import type { Plan } from '../plan/plan.ts';
import { makeAsk } from './ask.ts';
import { makeFlowRemover } from './conntrack.ts';
import { EndpointFollower } from './follow.ts';
import { lookUp } from './lookup.ts';
import { NO_ENDPOINTS } from './set.ts';

const DNS_PORT = 53;

/** Set by the kubelet in the namespace of kube-dns: our manifests' Service before kube-dns, and node-local-dns's. */
const UPSTREAM_SERVICES = ['NODENS_UPSTREAM_SERVICE_HOST', 'KUBE_DNS_UPSTREAM_SERVICE_HOST'];

/** What `endpointFollower` needs of init. */
export interface EndpointParts {
  /** Full name of the headless Service in front of kube-dns. */
  readonly service: string;
  readonly plan: Plan;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** One pass over the rules; resolves to whether they are in place. */
  readonly pass: () => Promise<boolean>;
  readonly system: System;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * A follower that asks nothing yet, see `EndpointFollower.want`. It asks ClusterIPs that are no local IPs, and then
 * endpoints that it knows, always over TCP.
 */
export function endpointFollower(parts: EndpointParts): EndpointFollower {
  const { service, plan, env, pass, system, clock, log } = parts;
  const serviceIps = serviceIpsOf(env, plan.clusterIps);
  const excluded = [...plan.addresses, ...serviceIps];
  // At a local IP the agent would answer, perhaps from its cache.
  const servers = serviceIps.filter((ip) => !plan.addresses.includes(ip)).map(dnsAt);
  return new EndpointFollower({
    ...{ clock, pass },
    lookup: (known) => lookUp(makeAsk(clock, [...servers, ...known]), { service, excluded }),
    inKernel: async () => {
      try {
        return await fallbackEndpoints(system);
      } catch (error) {
        if (error instanceof CommandError) return NO_ENDPOINTS;
        throw error;
      }
    },
    removeFlows: makeFlowRemover(system.run, log, plan.fallback.endpointDnats),
  });
}

/** Addresses of the Services in front of kube-dns, as far as this container's environment has them. */
function serviceIpsOf(env: EndpointParts['env'], clusterIps: readonly string[]): string[] {
  const fromKubelet = UPSTREAM_SERVICES.map((name) => env[name] ?? '');
  return [...new Set([...fromKubelet.filter((ip) => familyOf(ip) !== undefined), ...clusterIps])];
}

function dnsAt(address: string): Endpoint {
  return { address, port: DNS_PORT };
}
