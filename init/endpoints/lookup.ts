/**
 * Finds kube-dns's pods by the name of a headless Service in front of them (Kubernetes DNS-based service discovery 1.1,
 * §2.4): SRV records of its ports, addresses of their targets.
 */
import { type Endpoint, familyOf } from '../../agent/base/address.ts';
import { addressesOf, type HostRecord } from '../../agent/dns/client/host-records.ts';
import type { Ask } from './ask.ts';
import { type Endpoints, tidied } from './set.ts';

/** `endpoints` may be none; then `reason` says why. */
export interface Found {
  readonly endpoints: Endpoints;
  /** How long this is valid, by the TTLs of the records. */
  readonly ttlSeconds: number;
  readonly reason?: string;
}

/** Ports of kube-dns by the names that its own Service gives them. */
const PORTS = { udp: '_dns._udp', tcp: '_dns-tcp._tcp' } as const;
const DNS_PORT = 53;
/** Targets whose addresses init asks for one by one, where the answer does not have them. */
const MAX_ASKED_TARGETS = 32;

/** What `lookUp` looks for. */
export interface Wanted {
  /** Full name, without a trailing dot. */
  readonly service: string;
  /** Addresses that are no pod's: local IPs, ClusterIPs. */
  readonly excluded: readonly string[];
}

/**
 * Asks for the endpoints of the Service. A transport whose port has no SRV record gets the Service's addresses and port
 * 53. Rejects with `NoAnswerError`.
 */
export async function lookUp(ask: Ask, { service, excluded }: Wanted): Promise<Found> {
  const ttls: number[] = [];
  const question: Ask = async (name, type) => {
    const reply = await ask(name, type);
    ttls.push(...reply.records.filter(isUseful).map(({ ttlSeconds }) => ttlSeconds));
    return reply;
  };
  const udp = await endpointsOf(question, service, PORTS.udp);
  const tcp = udp === 'not headless' ? udp : await endpointsOf(question, service, PORTS.tcp);
  const ttlSeconds = Math.min(...ttls, 0x7fff_ffff);
  if (udp === 'not headless' || tcp === 'not headless')
    return { ...NOTHING, ttlSeconds, reason: `${service} is a Service with a ClusterIP` };
  const isPod = ({ address, port }: Endpoint): boolean => port > 0 && !excluded.includes(address);
  const endpoints = tidied({ udp: udp.filter(isPod), tcp: tcp.filter(isPod) });
  if (endpoints.udp.length + endpoints.tcp.length > 0) return { endpoints, ttlSeconds };
  return { ...NOTHING, reason: `${service} has no endpoints` };
}

/** Without records there is no TTL: this may change at once. */
const NOTHING: Found = { endpoints: { udp: [], tcp: [] }, ttlSeconds: 0 };

async function endpointsOf(
  ask: Ask,
  service: string,
  port: string,
): Promise<Endpoint[] | 'not headless'> {
  const { records } = await ask(`${port}.${service}`, 'SRV');
  const targets = records.filter(isAnswer).flatMap(({ data }) => ('target' in data ? [data] : []));
  // The target of a Service with a ClusterIP is its own name; that of a headless one is a name for each pod.
  if (targets.some(({ target }) => target === service.toLowerCase())) return 'not headless';
  if (targets.length === 0) return (await askAddresses(ask, service)).map(at(DNS_PORT));
  const found: Endpoint[] = [];
  let asked = 0;
  for (const { target, port: number } of targets) {
    const given = addressesOf(records, target).filter(isReachable);
    const isMissing = given.length === 0 && asked++ < MAX_ASKED_TARGETS;
    found.push(...(isMissing ? await askAddresses(ask, target) : given).map(at(number)));
  }
  return found;
}

function at(port: number): (address: string) => Endpoint {
  return (address) => ({ address, port });
}

async function askAddresses(ask: Ask, name: string): Promise<string[]> {
  if (!isHostName(name)) return [];
  const replies = [await ask(name, 'A'), await ask(name, 'AAAA')];
  return replies
    .flatMap(({ records }) => records.filter(isAnswer))
    .flatMap(({ data }) => ('address' in data ? [data.address] : []))
    .filter(isReachable);
}

/** Letters, digits, hyphens and underscores in labels of 1–63, 253 characters at most, no trailing dot. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && /^[\w-]{1,63}(\.[\w-]{1,63})*$/.test(text);
}

function isAnswer({ section }: HostRecord): boolean {
  return section === 'answer';
}

function isUseful({ section }: HostRecord): boolean {
  return section !== 'authority';
}

/** Whether a pod can have this address: a packet to any other would stay on the node, or reach no host. */
function isReachable(address: string): boolean {
  const nowhere =
    familyOf(address) === 4
      ? /^(0|127|169\.254|22[4-9]|2[3-5]\d)\./
      : /^(::1?$|::ffff:|fe[89ab][0-9a-f]:|ff)/;
  return !nowhere.test(address);
}
