/**
 * Proves, before anything is bound, that this agent can answer: with SO_REUSEADDR a bind takes the address from a
 * working agent, and interception takes the node's queries from kube-dns (docs/lifecycle.md).
 */
import { type Clock, sleep } from '../base/clock.ts';
import type { Corefile } from '../config/corefile/types.ts';
import { RCODE, TYPE } from '../dns/iana.ts';
import { nameFromText } from '../dns/name.ts';
import type { ServerLabel } from '../query/services/block.ts';
import type { Logger } from '../query/services/log.ts';
import type { Services } from '../query/services/services.ts';

/** Interval of rounds: long enough for the cache to drop a stored failure. */
const ROUND_MS = 1_100;
/**
 * How long an agent with restored answers waits for the result on its cluster domain: it may have restarted during an
 * outage.
 */
const RESTORED_MS = 1_000;

/** What a self-test may ask, and how it reports. */
export interface SelfTestParts {
  readonly resolve: Services['resolve'];
  /** The planned listeners; not every one serves every zone. */
  readonly servers: readonly ServerLabel[];
  /** Domains in which kube-dns must know the Service `kubernetes.default`. */
  readonly domains: readonly string[];
  /** Whether the cache was restored with answers, so that no upstream needs to answer. */
  readonly isRestored: boolean;
  /** Whether this agent already answers clients: a reload has brought in the configuration to prove. */
  readonly isServing: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly isStopping: () => boolean;
  /** Called when kube-dns denies the cluster domain, and when it no longer does. */
  readonly onDenied: (isDenied: boolean) => void;
}

/**
 * Zones whose upstream must answer: those of the cluster if there are any. Interception must not take from kube-dns
 * what it could answer. An unreachable internet is unreachable for kube-dns as well, so it is no reason to wait.
 */
export function zonesToProve(corefile: Corefile): string[] {
  const zones = corefile.blocks
    .filter((block) => block.directives.some(({ name }) => name === 'forward'))
    .flatMap((block) => block.keys.map(({ zone }) => zone));
  const cluster = zones.filter((zone) => zone !== '.');
  return [...new Set(cluster.length > 0 ? cluster : zones)];
}

/** `denied`: kube-dns answers, but the domain is not the cluster's, or another server answers. */
type Said = 'there' | 'denied' | 'nothing';

/**
 * Resolves when an upstream has answered for one of `zones`, at once if there are none, or when the agent stops. If
 * kube-dns denies the Service `kubernetes.default` in every one of `domains`, every name of the cluster would be
 * denied: then it waits until kube-dns knows it in one of them.
 */
export async function waitForUpstreams(
  zones: readonly string[],
  parts: SelfTestParts,
): Promise<void> {
  let isDenied = false;
  while (!parts.isStopping()) {
    const [domain, isAnswered] = await Promise.all([domainSaid(parts), anyAnswers(zones, parts)]);
    if (domain === 'denied' && !isDenied) {
      isDenied = true;
      parts.onDenied(true);
    }
    if (domain === 'there' || (isAnswered && !isDenied)) break;
    if (isDenied) sayDenied(parts);
    else saySilent(zones, parts);
    await sleep(parts.clock, ROUND_MS);
  }
  if (isDenied) parts.onDenied(false);
}

function saySilent(zones: readonly string[], { log }: SelfTestParts): void {
  const message = 'no upstream answers yet: the agent does not listen, kube-dns serves the node';
  log.warn({ event: 'self-test', zones }, message);
}

function sayDenied({ domains, isServing, log }: SelfTestParts): void {
  const names = domains.map((domain) => serviceName(domain)).join(', ');
  const effect = isServing
    ? 'since the reload, names of the cluster are denied to the pods of the node'
    : 'the agent does not listen, kube-dns serves the node';
  log.error({ event: 'cluster-domain', domains }, `NXDOMAIN for ${names}: ${effect}`);
}

function serviceName(domain: string): string {
  return `kubernetes.default.svc.${domain}`;
}

async function domainSaid(parts: SelfTestParts): Promise<Said> {
  const { domains, isRestored, clock } = parts;
  if (domains.length === 0) return 'nothing';
  const asked = Promise.all(domains.map((domain) => said(serviceName(domain), parts)));
  const late = (): Promise<Said[]> => sleep(clock, RESTORED_MS).then(() => []);
  const all = await (isRestored ? Promise.race([asked, late()]) : asked);
  if (all.includes('there')) return 'there';
  return all.length > 0 && all.every((one) => one === 'denied') ? 'denied' : 'nothing';
}

async function said(name: string, { resolve, servers }: SelfTestParts): Promise<Said> {
  for (const server of servers) {
    // CD bypasses restored answers: clients do not set it.
    const flags = { dnssecOk: false, checkingDisabled: true };
    const question = { name: nameFromText(name), type: TYPE.A, ...flags, server };
    const { rcode } = await resolve(question);
    if (rcode === RCODE.NOERROR) return 'there';
    if (rcode === RCODE.NXDOMAIN) return 'denied';
  }
  return 'nothing';
}

async function anyAnswers(zones: readonly string[], parts: SelfTestParts): Promise<boolean> {
  if (zones.length === 0 || parts.isRestored) return true;
  return (await Promise.all(zones.map((zone) => answers(zone, parts)))).some(Boolean);
}

async function answers(zone: string, { resolve, servers }: SelfTestParts): Promise<boolean> {
  const name = nameFromText(zone);
  for (const server of servers) {
    const question = { name, type: TYPE.SOA, dnssecOk: false, checkingDisabled: false, server };
    const { rcode } = await resolve(question);
    if (rcode !== RCODE.SERVFAIL && rcode !== RCODE.REFUSED) return true;
  }
  return false;
}
