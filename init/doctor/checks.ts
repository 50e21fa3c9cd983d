/** Judges a node by its facts: one finding a line, in the order in which a query meets what they speak of. */

import { agents, answers, corefile, fallback } from './checks-answers.ts';
import { conntrack, kubeProxy, loops, queues, resolvConf } from './checks-node.ts';
import { foreign, interception, leftovers, policies } from './checks-rules.ts';
import {
  agentUpstreams,
  clusterDomain,
  clusterIp,
  kubeDns,
  resolvers,
} from './checks-upstreams.ts';
import type { Facts, Finding } from './facts.ts';
import { isSeen, unseen } from './seen.ts';
import { examineWithoutInit } from './without-init.ts';

/** Pure. Each id occurs once, whatever the facts are. */
export function examine(facts: Facts): Finding[] {
  if (facts.withoutInit) return examineWithoutInit(facts);
  return [
    answers(facts),
    addresses(facts),
    agents(facts),
    corefile(facts),
    interception(facts),
    fallback(facts),
    leftovers(facts),
    foreign(facts),
    policies(facts),
    kubeDns(facts),
    clusterDomain(facts),
    clusterIp(facts),
    agentUpstreams(facts),
    resolvers(facts),
    resolvConf(facts),
    loops(facts),
    conntrack(facts),
    queues(facts),
    kubeProxy(facts),
    networkPolicy(facts),
  ];
}

function addresses({ localIps, addresses: present }: Facts): Finding {
  const id = 'addresses';
  if (!isSeen(present)) return unseen(id, present);
  if (localIps.length === 0) {
    const message = 'no local IP of nodens on this node';
    return {
      id,
      verdict: 'fail',
      message,
      remedy: 'start nodens here, or name them: --localip IP,…',
    };
  }
  const missing = localIps.filter((ip) => !present.value.some(({ address }) => address === ip));
  if (missing.length > 0) {
    const message = `${missing.join(', ')} not on the node`;
    const remedy = "init puts them there and keeps them: see its log for 'set-up failed'";
    return { id, verdict: 'fail', message, remedy };
  }
  const ours = present.value.filter(({ address }) => localIps.includes(address));
  const exposed = ours.filter(({ scope, deprecated }) => scope === 'global' && !deprecated);
  if (exposed.length > 0) {
    const where = exposed.map(({ address, link }) => `${address} on ${link}`).join(', ');
    const message = `${where} may become a source address of the node`;
    const remedy = 'let init put it on: it uses scope host (v6: preferred_lft 0)';
    return { id, verdict: 'warn', message, remedy };
  }
  const message = ours.map(({ address, link }) => `${address} on ${link}`).join(', ');
  return { id, verdict: 'ok', message };
}

function networkPolicy({ localIps, kubeDns: upstream }: Facts): Finding {
  const targets = [...localIps, ...upstream.map((ip) => `${ip} (kube-dns)`)].join(', ');
  const where = targets || 'the local IPs';
  const message = `where policies limit egress, pods need port 53 UDP and TCP to ${where} and kube-dns's pods`;
  return { id: 'network-policy', verdict: 'ok', message };
}
