/**
 * Proves, before anything is bound, that this agent can answer: with SO_REUSEADDR a bind takes the address away from an
 * agent that works, and interception takes the node's queries away from kube-dns (docs/lifecycle.md).
 */
import { type Clock, sleep } from '../base/clock.ts';
import type { Corefile } from '../config/corefile/types.ts';
import { RCODE, TYPE } from '../dns/iana.ts';
import { nameFromText } from '../dns/name.ts';
import type { ServerLabel } from '../query/services/block.ts';
import type { Logger } from '../query/services/log.ts';
import type { Services } from '../query/services/services.ts';

/** Between rounds: long enough that a failure remembered by the cache is forgotten. */
const ROUND_MS = 1_100;
/** How long an agent that has answers waits for a word on its cluster domain: it may be back in the middle of an outage. */
const RESTORED_MS = 1_000;

export interface SelfTestParts {
  readonly resolve: Services['resolve'];
  /** The listeners to be; not every one serves every zone. */
  readonly servers: readonly ServerLabel[];
  /** Domains in which kube-dns has to know the Service `kubernetes.default`. */
  readonly domains: readonly string[];
  /** Whether the cache has come back with answers, so that no upstream needs to answer. */
  readonly isRestored: boolean;
  /** Whether this agent answers clients already: a reload has brought in what is to be proved. */
  readonly isServing: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly isStopping: () => boolean;
  /** Called when kube-dns denies the cluster domain, and when it does so no more. */
  readonly onDenied: (isDenied: boolean) => void;
}

/**
 * Zones whose upstream has to answer. Those of the cluster where there are any: what kube-dns can answer must not be
 * taken from it. An internet that is unreachable is so for kube-dns, too, and no reason to stay away.
 */
export function zonesToProve(corefile: Corefile): string[] {
  const zones = corefile.blocks
    .filter((block) => block.directives.some(({ name }) => name === 'forward'))
    .flatMap((block) => block.keys.map(({ zone }) => zone));
  const cluster = zones.filter((zone) => zone !== '.');
  return [...new Set(cluster.length > 0 ? cluster : zones)];
}

/** `denied`: kube-dns answers, but the domain is not the cluster's, or it is not kube-dns that answers. */
type Said = 'there' | 'denied' | 'nothing';

/**
 * Resolves when one of `zones` has been answered for from upstream, at once where there is none; or when stopping. Where
 * kube-dns denies the Service `kubernetes.default` in every one of `domains`, every name of the cluster would be denied:
 * then not before it knows it in one of them.
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
    // With CD it is not what the snapshot has brought back: clients do not ask so.
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
