/**
 * An agent without init: an ordinary pod (manifests/overlays/cilium), or a plain resolver. nodens has put nothing on the
 * node then, and what brings the queries is not to be seen from here.
 */
import { familyOf, isWildcard } from '../../agent/base/address.ts';
import { agents, answers, corefile } from './checks-answers.ts';
import { loops, queues, resolvConf } from './checks-node.ts';
import { agentUpstreams, clusterDomain, kubeDns, resolvers } from './checks-upstreams.ts';
import type { Facts, Finding } from './facts.ts';
import { isSeen, unseen } from './seen.ts';

const WILDCARDS = ['0.0.0.0', '::'];

/**
 * Addresses to ask the agent at: those of `given`, and for a wildcard those of the links. `::` takes IPv4 as well; `given` is
 * empty for an agent that listens everywhere.
 */
export function addressesOfAgent(
  given: readonly string[],
  addresses: Facts['addresses'],
): readonly string[] {
  const listens = given.length > 0 ? given : WILDCARDS;
  const present = isSeen(addresses)
    ? addresses.value.filter(({ scope }) => scope === 'global').map(({ address }) => address)
    : [];
  const behind = (wildcard: string): readonly string[] => {
    const taken = present.filter((address) => wildcard === '::' || familyOf(address) === 4);
    return taken.length > 0 ? taken : ['127.0.0.1'];
  };
  return [...new Set(listens.flatMap((ip) => (isWildcard(ip) ? behind(ip) : [ip])))];
}

/** Pure. Each id occurs once, and means what it means beside an init. */
export function examineWithoutInit(facts: Facts): Finding[] {
  const asked = { ...facts, rules: { unseen: 'without init nodens has none' } };
  return [
    answers(asked),
    addresses(facts),
    agents(facts),
    corefile(facts),
    { id: 'interception', verdict: 'ok', message: INTERCEPTION },
    { id: 'fallback', verdict: 'ok', message: FALLBACK },
    { id: 'node', verdict: 'ok', message: NODE },
    kubeDns(facts),
    clusterDomain(facts),
    agentUpstreams(facts),
    resolvers(facts),
    resolvConf(facts),
    loops(facts),
    queues(facts),
    networkPolicy(facts),
  ];
}

const INTERCEPTION =
  'not by nodens: it was started without init. What brings the queries is not to be seen from here:\n' +
  'for a Local Redirect Policy ask Cilium on this node (cilium-dbg service list)';

const FALLBACK =
  'not by nodens: Cilium leads to kube-dns while this pod is not ready; clients that name its address have none';

const NODE =
  'not looked at: rules, conntrack and kube-proxy of the node, which have no part in an agent without init';

function addresses({ localIps, addresses: present }: Facts): Finding {
  const id = 'addresses';
  if (!isSeen(present)) return unseen(id, present);
  const missing = localIps.filter((ip) => !present.value.some(({ address }) => address === ip));
  if (missing.length > 0) {
    const message = `${missing.join(', ')} not here`;
    const remedy =
      'without init no program puts it there: give the agent an address that exists, or 0.0.0.0';
    return { id, verdict: 'fail', message, remedy };
  }
  const ours = present.value.filter(({ address }) => localIps.includes(address));
  const message = ours.map(({ address, link }) => `${address} on ${link}`).join(', ');
  return { id, verdict: 'ok', message };
}

function networkPolicy({ kubeDns: upstream }: Facts): Finding {
  const servers = upstream.map((ip) => `${ip} (kube-dns)`).join(', ') || 'kube-dns';
  const pods = 'pods need port 53 UDP and TCP to the pods of nodens and of kube-dns';
  const message = `where policies limit it, ${pods}, and this one to ${servers}`;
  return { id: 'network-policy', verdict: 'ok', message };
}
