/** The state of the node: conntrack, rules, addresses, routes, the agent's metrics. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { FRESH_MS } from '../../../agent/observe/admin/metrics-endpoints.ts';
import type { Netns } from './netns.ts';
import { V4, V6 } from './plan.ts';

/** Conntrack entries, in either direction, between a client at `address` and any port 53. */
export async function clientEntries(node: Netns, address: string): Promise<string[]> {
  const listed = await Promise.all(
    ['ipv4', 'ipv6'].map((family) => node.run(['conntrack', '-L', '-f', family])),
  );
  return listed
    .flatMap(({ stdout }) => stdout.split('\n'))
    .filter((line) => line.includes(`=${address} `) && line.includes('port=53 '));
}

/** Removes the entries that pods, and init's probes of the local IPs, left before interception began. */
export async function forgetClients(node: Netns): Promise<void> {
  for (const [family, a] of [
    ['ipv4', V4],
    ['ipv6', V6],
  ] as const) {
    for (const client of [...a.pods, a.local, a.vip]) {
      await node.run(['conntrack', '-D', '-f', family, '-s', client]);
    }
  }
}

/**
 * The whole set-up that init may touch, in a form that can be compared: rules without counters, links, addresses
 * and routes without the kernel's own changes (operational state, IPv6 link-local addresses).
 */
export async function footprint(node: Netns): Promise<string> {
  const rules = await node.must(['nft', '-s', 'list', 'ruleset']);
  const legacy = await Promise.all(
    ['iptables-legacy-save', 'ip6tables-legacy-save'].map((tool) => legacySave(node, tool)),
  );
  const links = (await node.ip('-o', 'link', 'show')).replace(/^(\d+: \S+ ).*$/gm, '$1');
  const addresses = (await node.ip('-o', 'addr', 'show')).replace(/ tentative\b/g, '');
  const routes = (await node.ip('route', 'show', 'table', 'all')).replace(/ linkdown\b/g, '');
  const routes6 = (await node.ip('-6', 'route', 'show', 'table', 'all')).replace(
    / linkdown\b/g,
    '',
  );
  const lines = [rules, ...legacy, links, addresses, routes, routes6].join('\n').split('\n');
  return lines.filter((line) => !/fe80::|ff00::\/8/.test(line)).join('\n');
}

/** Lines that only one of two footprints has, with `-` and `+`. */
export function difference(before: string, after: string): string[] {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const gone = old.filter((line) => !now.includes(line)).map((line) => `- ${line.trim()}`);
  const added = now.filter((line) => !old.includes(line)).map((line) => `+ ${line.trim()}`);
  return [...gone, ...added];
}

/** Saving reads only tables that exist, so it creates none. */
async function legacySave(node: Netns, tool: string): Promise<string> {
  const { stdout } = await node.run([tool]);
  return stdout.replace(/^#.*$/gm, '').replace(/\[\d+:\d+\]/g, '');
}

/** Source address the kernel picks for `target`. */
export async function routeSource(node: Netns, target: string): Promise<string> {
  const route = await node.ip('route', 'get', target);
  return / src (\S+)/.exec(route)?.[1] ?? '';
}

/** One sample of a Prometheus page. */
export interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

/** A shell starts in a fraction of the time that Node takes, and every wait for interception calls it. */
const FETCH = `exec 3<>"/dev/tcp/$1/$2"; printf 'GET %s HTTP/1.0\\r\\n\\r\\n' "$3" >&3; cat <&3`;

/** Body of an HTTP resource for programs inside `from`. Throws where there is none. */
export async function httpGet(from: Netns, url: string): Promise<string> {
  const { hostname, port, pathname } = new URL(url);
  const host = hostname.replaceAll(/[[\]]/g, '');
  const response = await from.must(['bash', '-ec', FETCH, 'bash', host, port, pathname], {
    timeoutMs: 15_000,
  });
  return response.slice(response.indexOf('\r\n\r\n') + 4);
}

/** Samples of a page rendered after the call: nodens may return a page of a moment ago. */
export async function metrics(from: Netns, url: string): Promise<Sample[]> {
  await delay(FRESH_MS + 1);
  const page = await httpGet(from, url);
  return [...page.matchAll(/^([a-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/gim)].map((match) => ({
    name: match[1] as string,
    labels: match[2] ?? '',
    value: Number(match[3]),
  }));
}

/** Sum of the samples called `name` whose labels contain every text of `having`. */
export function total(samples: readonly Sample[], name: string, ...having: string[]): number {
  return samples
    .filter(
      (sample) => sample.name === name && having.every((text) => sample.labels.includes(text)),
    )
    .reduce((sum, sample) => sum + sample.value, 0);
}

/** Packets that each rule of nodens has matched so far, by the rule's name; its counter restarts with the rule. */
export async function ruleCounters(node: Netns): Promise<Map<string, number>> {
  const { stdout } = await node.run(['nft', 'list', 'ruleset']);
  const rules = stdout.matchAll(/counter packets (\d+) .*comment "nodens:([\w-]+)/g);
  return new Map([...rules].map((match) => [match[2] as string, Number(match[1])]));
}

export interface Privileges {
  readonly uid: number;
  /** In alphabetical order. */
  readonly capabilities: readonly string[];
}

/** User and effective capabilities of a process, as the kernel has them. */
export function privileges(pid: number): Privileges {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mask = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`);
  const bits = Array.from({ length: 64 }, (_, bit) => bit).filter(
    (bit) => (mask >> BigInt(bit)) & 1n,
  );
  return {
    uid: Number(/^Uid:\s*(\d+)/m.exec(status)?.[1]),
    capabilities: bits.map((bit) => CAPABILITY_NAMES[bit] ?? `capability ${bit}`).sort(),
  };
}

/** Those of linux/capability.h that matter to nodens. */
const CAPABILITY_NAMES: Readonly<Record<number, string>> = {
  10: 'net_bind_service',
  12: 'net_admin',
  13: 'net_raw',
};
