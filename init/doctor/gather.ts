/** Collects the facts. Nothing here changes anything, and nothing here is judged. */

import { familyOf } from '../../agent/base/address.ts';
import { PROBE_NAME } from '../../agent/base/control.ts';
import { messageOf } from '../../agent/base/errors.ts';
import { parseResolvConf } from '../../agent/base/resolv-conf.ts';
import { CLASS, TYPE } from '../../agent/dns/iana.ts';
import { CommandError } from '../node/exec.ts';
import { type Conntrack, conntrackIn, type UdpSocket, udpSocketsIn } from '../node/proc.ts';
import type { System } from '../node/system.ts';
import type { Ask } from './ask.ts';
import type {
  Facts,
  LocalReply,
  NodeAddress,
  Reply,
  Seen,
  Transport,
  UpstreamReply,
} from './facts.ts';
import {
  type Fetch,
  fetchPage,
  isConfigValidIn,
  readSeries,
  upstreamsIn,
} from './look/corefile.ts';
import { type ReadInit, readInit } from './look/init.ts';
import { readRules } from './look/rules.ts';
import type { DoctorOptions } from './options.ts';
import { leftIpsIn, nodeLocalDnsLines, ownText } from './ruleset.ts';
import { kubeDnsOn } from './services.ts';
import { addressesOfAgent } from './without-init.ts';

const TRANSPORTS: readonly Transport[] = ['udp', 'tcp'];
const DNS_PORT = 53;

/**
 * Never rejects because something cannot be read: that becomes `unseen` with the reason. It sends DNS questions to the
 * local IPs, kube-dns and the resolvers.
 */
export async function gather(
  options: DoctorOptions,
  system: System,
  ask: Ask,
  fetch: Fetch = fetchPage,
  askInit: ReadInit = readInit,
): Promise<Facts> {
  const [addresses, links, rules, resolvConf, conntrack, sockets, series, init] = await Promise.all(
    [
      seen(() => readAddresses(system)),
      seen(() => readLinks(system)),
      seen(() => readRules(system)),
      seen(async () => must(await system.read(options.resolvConf), options.resolvConf)),
      seen(() => readConntrack(system)),
      seen(() => readSockets(system)),
      seen(() => readSeries(fetch, options.metrics)),
      seen(() => askInit(options.controlSocket)),
    ],
  );
  const left = 'value' in rules ? leftIpsIn(rules.value) : [];
  const found = localIpsIn(addresses, rules).filter((ip) => !left.includes(ip));
  const localIps = options.withoutInit
    ? addressesOfAgent(options.localIps, addresses)
    : options.localIps.length > 0
      ? options.localIps
      : found;
  const leftIps = left.filter((ip) => !localIps.includes(ip));
  const resolvers = 'value' in resolvConf ? parseResolvConf(resolvConf.value).nameservers : [];
  const { kubeDns: given } = options;
  const kubeDns = given.length > 0 ? given : kubeDnsOn(rules, localIps, options);
  const [local, upstreams] = await Promise.all([
    askLocals(ask, localIps, options.port),
    askUpstreams(
      ask,
      { kubeDns, clusterDomain: options.clusterDomain },
      resolvers.filter((server) => !localIps.includes(server)),
    ),
  ]);
  const { withoutInit, port } = options;
  const places = { withoutInit, localIps, leftIps, port, kubeDns, cluster: toldOf(options) };
  return {
    ...places,
    addresses,
    links,
    rules,
    local,
    upstreams,
    resolvConf,
    conntrack,
    sockets,
    isConfigValid: 'value' in series ? { value: isConfigValidIn(series.value) } : series,
    agentUpstreams: 'value' in series ? { value: upstreamsIn(series.value) } : series,
    init,
  };
}

function toldOf(options: DoctorOptions): Facts['cluster'] {
  const { clusterDomain: domain, isDomainTold, knowsKubernetes, clusterIps } = options;
  return {
    domain,
    isDomainTold,
    knowsKubernetes,
    clusterIps,
    kubeDnsService: options.kubeDnsService,
  };
}

async function seen<T>(look: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { value: await look() };
  } catch (error) {
    const remedy = error instanceof CommandError ? error.remedy : undefined;
    return { unseen: messageOf(error), ...(remedy === undefined ? {} : { remedy }) };
  }
}

function must(text: string | undefined, path: string): string {
  if (text === undefined) throw new Error(`${path} is not there`);
  return text;
}

interface Link {
  readonly ifname: string;
  readonly ifalias?: string;
  readonly addr_info: readonly {
    readonly local: string;
    readonly scope: string;
    readonly label?: string;
    readonly deprecated?: boolean;
  }[];
}

async function readAddresses(system: System): Promise<NodeAddress[]> {
  const links = JSON.parse(await system.run('ip', ['-j', '-d', 'addr', 'show'])) as Link[];
  return links.flatMap(({ ifname, ifalias, addr_info }) =>
    addr_info.map(({ local, scope, label, deprecated = false }) => {
      const isOurs = ifalias === 'nodens' || label?.endsWith(':nodens') === true;
      const isNodeLocalDns = ifname === 'nodelocaldns' && !isOurs;
      const owner = isOurs ? 'nodens' : isNodeLocalDns ? 'node-local-dns' : undefined;
      return { address: local, link: ifname, scope, deprecated, owner } as const;
    }),
  );
}

async function readLinks(system: System): Promise<string[]> {
  const links = JSON.parse(await system.run('ip', ['-j', 'link', 'show'])) as Link[];
  return links.map(({ ifname }) => ifname);
}

async function readConntrack(system: System): Promise<Conntrack> {
  const read = async (path: string): Promise<string> => must(await system.read(path), path);
  const tracked = conntrackIn(
    await read('/proc/net/stat/nf_conntrack'),
    await read('/proc/sys/net/netfilter/nf_conntrack_count'),
    await read('/proc/sys/net/netfilter/nf_conntrack_max'),
  );
  if (tracked === undefined) throw new Error('/proc/net/stat/nf_conntrack has another form');
  return tracked;
}

async function readSockets(system: System): Promise<UdpSocket[]> {
  const v4 = must(await system.read('/proc/net/udp'), '/proc/net/udp');
  const v6 = (await system.read('/proc/net/udp6')) ?? '';
  return [...udpSocketsIn(v4, 4), ...udpSocketsIn(v6, 6)];
}

/** If no flag names them: addresses with init's mark, and those in rules of nodens or of node-local-dns. */
function localIpsIn(addresses: Facts['addresses'], rules: Facts['rules']): string[] {
  if (!('value' in addresses)) return [];
  const text =
    'value' in rules ? `${ownText(rules.value)}\n${nodeLocalDnsLines(rules.value).join('\n')}` : '';
  const named = new Set(text.split(/[\s{},/]+/).filter((word) => familyOf(word) !== undefined));
  const ours = addresses.value.filter(({ address, owner, scope, deprecated }) => {
    const looksLocal = scope === 'host' || deprecated || owner !== undefined;
    return owner !== undefined || (looksLocal && named.has(address));
  });
  return [...new Set(ours.map(({ address }) => address))];
}

async function askLocals(ask: Ask, ips: readonly string[], port: number): Promise<LocalReply[]> {
  const question = { name: PROBE_NAME, type: TYPE.TXT, class: CLASS.CH };
  return Promise.all(
    ips.flatMap((address) =>
      TRANSPORTS.map(async (transport) => {
        const reply = await ask(transport, address, port, question);
        return { address, transport, reply };
      }),
    ),
  );
}

async function askUpstreams(
  ask: Ask,
  { kubeDns, clusterDomain }: Pick<DoctorOptions, 'kubeDns' | 'clusterDomain'>,
  resolvers: readonly string[],
): Promise<UpstreamReply[]> {
  const service = {
    name: `kubernetes.default.svc.${clusterDomain}`,
    type: TYPE.A,
    class: CLASS.IN,
  };
  const root = { name: '', type: TYPE.NS, class: CLASS.IN };
  const asked = [
    ...kubeDns.map((server) => ({ server, role: 'kube-dns', question: service }) as const),
    ...resolvers.map((server) => ({ server, role: 'resolver', question: root }) as const),
  ];
  return Promise.all(
    asked.flatMap(({ server, role, question }) =>
      TRANSPORTS.map(async (transport) => {
        const reply = await askAgain(() => ask(transport, server, DNS_PORT, question));
        return { server, role, transport, reply };
      }),
    ),
  );
}

/** A resolver may have had to look the name up, or a packet was lost: then the second reply counts if it is faster. */
const SLOW_MS = 100;

async function askAgain(ask: () => Promise<Reply>): Promise<Reply> {
  const first = await ask();
  if (!('ms' in first) || first.ms < SLOW_MS) return first;
  const second = await ask();
  return 'ms' in second && second.ms < first.ms ? second : first;
}
