/** What the node brings along: its resolv.conf, conntrack, socket queues, kube-proxy and data path. */

import { isLinkLocal } from '../../agent/base/address.ts';
import { parseResolvConf } from '../../agent/base/resolv-conf.ts';
import { socketsOf } from './checks-answers.ts';
import type { Facts, Finding } from './facts.ts';
import { proxyModes } from './ruleset.ts';
import { isSeen, unseen } from './seen.ts';

const MAX_NAMESERVERS = 3;
/** Share of the conntrack table at which new flows may soon be refused. */
const FULL = 0.95;
const FILLING = 0.8;

/** Whether the node's resolv.conf names 1 to 3 servers: MAXNS of resolv.conf(5). */
export function resolvConf({ resolvConf: text }: Facts): Finding {
  const id = 'resolv.conf';
  if (!isSeen(text)) return unseen(id, text);
  const servers = parseResolvConf(text.value).nameservers;
  if (servers.length === 0) {
    const remedy = "the kubelet's resolv.conf names no server: set one on the node";
    return { id, verdict: 'fail', message: 'no nameserver', remedy };
  }
  if (servers.length > MAX_NAMESERVERS) {
    const message = `${servers.length} nameservers: C libraries use the first ${MAX_NAMESERVERS}`;
    return { id, verdict: 'warn', message, remedy: 'keep three' };
  }
  return { id, verdict: 'ok', message: servers.join(', ') };
}

/** Names that nodens sends to a resolver must not come back to it. */
export function loops({ resolvConf: text, localIps }: Facts): Finding {
  const id = 'loops';
  if (!isSeen(text)) return unseen(id, text);
  const servers = parseResolvConf(text.value).nameservers;
  const own = servers.filter((server) => localIps.includes(server));
  if (own.length > 0) {
    const message = `resolv.conf names ${own.join(', ')}, where nodens itself answers`;
    const remedy =
      "give the node its real resolvers (kubelet's --resolv-conf), or name them in the Corefile";
    return { id, verdict: 'fail', message, remedy };
  }
  const stubs = servers.filter((server) => /^127\.|^::1$/.test(server));
  if (stubs.length > 0) {
    const message = `resolv.conf names ${stubs.join(', ')}, a stub on the node that may itself ask nodens`;
    const remedy =
      'point the kubelet at the real ones: --resolv-conf=/run/systemd/resolve/resolv.conf';
    return { id, verdict: 'warn', message, remedy };
  }
  return { id, verdict: 'ok', message: 'no upstream leads back to nodens' };
}

/**
 * How full the conntrack table is: a warning from 80 %, a fault from 95 %. Lost packets (insert_failed, drop) are a
 * warning, too.
 */
export function conntrack({ conntrack: tracked }: Facts): Finding {
  const id = 'conntrack';
  if (!isSeen(tracked)) return unseen(id, tracked);
  const { count, max, insertFailed, drop } = tracked.value;
  const share = count / max;
  const message = `${count} of ${max} entries, ${insertFailed} insert_failed, ${drop} drop since boot`;
  if (share >= FILLING) {
    const remedy = 'raise net.netfilter.nf_conntrack_max (kube-proxy: --conntrack-max-per-core)';
    return { id, verdict: share >= FULL ? 'fail' : 'warn', message, remedy };
  }
  if (insertFailed + drop > 0) {
    const remedy =
      'flows were lost to races or a full table; what nodens intercepts is not tracked: compare again later';
    return { id, verdict: 'warn', message, remedy };
  }
  return { id, verdict: 'ok', message };
}

/** Datagrams that the kernel dropped because a socket of the agent was full (`drops` of /proc/net/udp). */
export function queues({ sockets, localIps, port, withoutInit }: Facts): Finding {
  const id = 'queues';
  if (!isSeen(sockets)) return unseen(id, sockets);
  const ours = socketsOf({ sockets, port, withoutInit }, localIps);
  const sum = (key: 'drops' | 'waitingBytes'): number =>
    ours.reduce((total, one) => total + one[key], 0);
  const message = `${ours.length} UDP sockets, ${sum('drops')} datagrams dropped, ${sum('waitingBytes')} bytes waiting`;
  if (ours.length === 0) {
    const remedy = 'no socket on the local IPs: the agent is down or has not bound yet';
    return { id, verdict: 'warn', message, remedy };
  }
  if (sum('drops') > 0) {
    const remedy =
      'the agent got too little CPU for the load: raise its request, or net.core.rmem_max';
    return { id, verdict: 'warn', message, remedy };
  }
  return { id, verdict: 'ok', message };
}

/** What serves the VIP while nodens does not answer: kube-proxy by its mode, or an eBPF data path. */
export function kubeProxy({ rules, links, localIps }: Facts): Finding {
  const id = 'kube-proxy';
  if (!isSeen(links)) return unseen(id, links);
  if (!isSeen(rules)) return unseen(id, rules);
  const modes = proxyModes(rules.value);
  if (links.value.includes('kube-ipvs0')) {
    const vips = localIps.filter((ip) => !isLinkLocal(ip));
    if (vips.length === 0) return { id, verdict: 'ok', message: 'IPVS' };
    const message = `IPVS has the VIP on kube-ipvs0, and nodens is told to answer on ${vips.join(', ')}`;
    return {
      id,
      verdict: 'fail',
      message,
      remedy: 'use the overlay ipvs: link-local addresses only',
    };
  }
  if (modes.length > 0) return { id, verdict: 'ok', message: modes.join(' and ') };
  const bpf = links.value.find((name) => /^(cilium_|bpf\w+\.cali|cali)/.test(name));
  const message =
    bpf === undefined ? 'no rules of kube-proxy' : `none; link ${bpf}: an eBPF data path`;
  const remedy =
    bpf === undefined
      ? 'nothing serves the VIP while nodens does not: is kube-proxy running?'
      : 'such data paths decide before netfilter: see docs/environments.md for what works there';
  return { id, verdict: 'warn', message, remedy };
}
