/** A node whose netfilter knows no ClusterIP, with two kube-dns pods: for tests of the fallback to endpoints. */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Endpoint, formatEndpoint } from '../../../agent/base/address.ts';
import type { HeadlessService } from '../dns/headless.ts';
import { startInit } from './init.ts';
import { connectNetns, eventually, type Netns, type Started, withNetns } from './netns.ts';

export const LINK_LOCAL = '169.254.20.10';
export const LINK_LOCAL6 = 'fd00::10';
const VIP = '10.96.0.10';
const VIP6 = 'fd00::a';
const SERVICE = 'nodens-endpoints.kube-system.svc.cluster.local';
const POD_DNS = fileURLToPath(new URL('../dns/headless.ts', import.meta.url));

interface Backend {
  readonly name: string;
  readonly space: Netns;
  readonly endpoints: readonly Endpoint[];
}

/**
 * A pod, its node with the link of kube-proxy in IPVS mode, and two kube-dns pods behind the ClusterIPs, which netfilter
 * does not see. The second one listens on another port.
 */
class Cluster {
  readonly pod: Netns;
  readonly node: Netns;
  readonly backends: readonly [Backend, Backend];
  readonly inits: Started[] = [];
  readonly #folder: string;

  constructor(spaces: readonly [Netns, Netns, Netns, Netns], folder: string) {
    const [pod, node, one, two] = spaces;
    const backend = (name: string, space: Netns, net: number, port: number): Backend => ({
      ...{ name, space },
      endpoints: [`10.${net}.0.2`, `fd0${net}::2`].map((address) => ({ address, port })),
    });
    this.pod = pod;
    this.node = node;
    this.backends = [backend('dns1', one, 2, 53), backend('dns2', two, 3, 1053)];
    this.#folder = folder;
  }

  async wire(): Promise<void> {
    const { pod, node, backends } = this;
    for (const [i, guest] of [pod, ...backends.map(({ space }) => space)].entries()) {
      const net = i + 1;
      await connectNetns(guest, `10.${net}.0.2/24`, node, `10.${net}.0.1/24`);
      await connectNetns(guest, `fd0${net}::2/64`, node, `fd0${net}::1/64`);
      await guest.run('ip', ['route', 'add', 'default', 'via', `10.${net}.0.1`]);
      await guest.run('ip', ['-6', 'route', 'add', 'default', 'via', `fd0${net}::1`]);
    }
    for (const key of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'])
      await node.run('sysctl', ['-qw', `${key}=1`]);
    await node.run('ip', ['link', 'add', 'kube-ipvs0', 'type', 'bridge']);
    for (const { space } of backends)
      for (const vip of [`${VIP}/32`, `${VIP6}/128`])
        await space.run('ip', ['addr', 'add', vip, 'dev', 'lo']);
    // As on another node: there the local IPs belong to that node.
    for (const address of [LINK_LOCAL, LINK_LOCAL6])
      await backends[1].space.run('ip', ['route', 'add', 'unreachable', address]);
    await this.leadVip(0);
  }

  /** The kube-dns pod behind the ClusterIPs. */
  async leadVip(to: 0 | 1): Promise<void> {
    const { node } = this;
    await node.run('ip', ['route', 'replace', `${VIP}/32`, 'via', `10.${to + 2}.0.2`]);
    await node.run('ip', ['-6', 'route', 'replace', `${VIP6}/128`, 'via', `fd0${to + 2}::2`]);
  }

  /** Sets the endpoints in DNS. */
  async announce(backends: readonly Backend[], ttlSeconds = 5): Promise<void> {
    const endpoints = backends.flatMap((backend) => backend.endpoints);
    const service: HeadlessService = { name: SERVICE, ttlSeconds, endpoints };
    await writeFile(`${this.#file}.new`, JSON.stringify(service));
    await rename(`${this.#file}.new`, this.#file);
  }

  get #file(): string {
    return join(this.#folder, 'service.json');
  }

  async serve({ name, space, endpoints }: Backend): Promise<Started> {
    const vips = [VIP, VIP6].map((address) => formatEndpoint({ address, port: 53 }));
    const bound = [...endpoints.map(formatEndpoint), ...vips];
    const pod = space.start(process.execPath, [POD_DNS, name, this.#file, ...bound]);
    await eventually(`${name} listens`, () => pod.output().includes('listening'));
    return pod;
  }

  startInit(instance = 1): Started {
    const args = ['--localip', `${LINK_LOCAL},${LINK_LOCAL6}`, '--clusterdns', `${VIP},${VIP6}`];
    const socket = join(this.#folder, `${instance}.sock`);
    const init = startInit(this.node, [...args, '--socket', socket]);
    this.inits.push(init);
    return init;
  }

  /** The endpoints in the rules of the node. */
  async dnatTargets(): Promise<string> {
    const ruleset = await this.node.run('nft', ['list', 'ruleset']);
    return [...ruleset.matchAll(/dnat ip6? to .*map \{([^}]*)\}/g)].map((m) => m[1]).join();
  }

  async hasDnatTo(...backends: readonly Backend[]): Promise<boolean> {
    const dnatTargets = await this.dnatTargets();
    return this.backends.every(({ endpoints }, i) =>
      endpoints.every(
        ({ address, port }) =>
          dnatTargets.includes(`: ${address} . ${port}`) ===
          backends.includes(this.backends[i] as Backend),
      ),
    );
  }
}

export async function withCluster(work: (cluster: Cluster) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nodens-endpoints-'));
  try {
    await withNetns(['pod', 'node', 'dns1', 'dns2'], async (...spaces) => {
      const cluster = new Cluster(spaces, folder);
      await cluster.wire();
      try {
        await work(cluster);
      } catch (error) {
        for (const init of cluster.inits) process.stdout.write(`init said:\n${init.output()}\n`);
        throw error;
      }
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
