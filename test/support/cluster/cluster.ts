/** A one-machine cluster: all parts are started and removed together. */
import { rmSync } from 'node:fs';
import { type Namespaces, wire } from './links.ts';
import { makeRunDir, netnsName } from './names.ts';
import { type Asked, Nameserver, type Transport } from './nameserver.ts';
import { Netns } from './netns.ts';
import { podResolvConf, V4, V6 } from './plan.ts';
import { installProxy, type ProxyKind } from './proxy/proxy.ts';
import { type ClusterFacts, clusterZones, externalZones, FACTS } from './zones.ts';

let instances = 0;

const NSSWITCH = 'passwd: files\ngroup: files\nhosts: files dns\n';

/** The namespaces of a cluster with its name servers and kube-proxy's rules; nodens itself is started by the user. */
export class Cluster {
  readonly runDir: string;
  readonly #made: Netns[];
  readonly #all: Namespaces;
  readonly kubeDns: readonly [Nameserver, Nameserver];
  readonly internet: Nameserver;

  private constructor(runDir: string, made: Netns[], all: Namespaces) {
    this.runDir = runDir;
    this.#made = made;
    this.#all = all;
    const dns = (i: 0 | 1): Nameserver =>
      new Nameserver({
        name: `dns${i + 1}`,
        netns: all.backends[i],
        addresses: [V4.backends[i], V6.backends[i]],
        runDir,
      });
    this.kubeDns = [dns(0), dns(1)];
    const addresses = [V4.resolver, V6.resolver];
    this.internet = new Nameserver({ name: 'internet', netns: all.internet, addresses, runDir });
  }

  /** Builds everything and starts the name servers; removes everything where that fails. */
  static async up(proxy: ProxyKind): Promise<Cluster> {
    instances += 1;
    const instance = instances;
    const runDir = makeRunDir();
    const made: Netns[] = [];
    const make = async (role: string): Promise<Netns> => {
      const netns = await Netns.create(netnsName(instance, role));
      made.push(netns);
      return netns;
    };
    try {
      const all: Namespaces = {
        node: await make('node'),
        pods: [await make('pod1'), await make('pod2')],
        backends: [await make('dns1'), await make('dns2')],
        internet: await make('internet'),
      };
      await wire(all);
      const cluster = new Cluster(runDir, made, all);
      cluster.#files();
      await installProxy(all.node, proxy);
      await cluster.startUpstreams();
      return cluster;
    } catch (error) {
      remove(made, runDir);
      throw error;
    }
  }

  get node(): Netns {
    return this.#all.node;
  }

  get pods(): readonly [Netns, Netns] {
    return this.#all.pods;
  }

  get namespaces(): readonly Netns[] {
    return this.#made;
  }

  get upstreams(): readonly Nameserver[] {
    return [...this.kubeDns, this.internet];
  }

  /** Starts every name server that does not run, with the current facts of the cluster. */
  async startUpstreams(facts: ClusterFacts = FACTS): Promise<void> {
    const zones = clusterZones(facts);
    await Promise.all([
      ...this.kubeDns.map((dns) =>
        dns.running ? undefined : dns.start([...externalZones(), ...zones]),
      ),
      this.internet.running ? undefined : this.internet.start(externalZones()),
    ]);
  }

  async stopUpstreams(): Promise<void> {
    await Promise.all(this.upstreams.map((upstream) => upstream.stop()));
  }

  /** The queries for `name` that the name servers received (no trailing dot needed). */
  askedAbout(name: string): Asked[] {
    const wanted = `${name.toLowerCase().replace(/\.$/, '')}.`;
    return this.upstreams.flatMap((upstream) => upstream.askedAbout(wanted));
  }

  /** `dns1 tcp` and the like, for each query about `name`, in order of servers and transports. */
  wayOf(name: string): string[] {
    return this.askedAbout(name).map((asked) => `${asked.server} ${asked.transport}`);
  }

  /** How many queries each kind of upstream got over each transport. */
  counts(): Record<'kubeDns' | 'internet', Record<Transport, number>> {
    const of = (servers: readonly Nameserver[]): Record<Transport, number> => {
      const asked = servers.flatMap((server) => server.asked());
      const by = (transport: Transport): number =>
        asked.filter((query) => query.transport === transport).length;
      return { udp: by('udp'), tcp: by('tcp') };
    };
    return { kubeDns: of(this.kubeDns), internet: of([this.internet]) };
  }

  /** Sets the name server that the pods' libc asks. */
  usePodNameserver(address: string): void {
    for (const pod of this.pods) pod.etc('resolv.conf', podResolvConf(address));
  }

  /** Ends every process in the namespaces and removes all of it; may be called again. */
  down(): void {
    remove(this.#made, this.runDir);
  }

  #files(): void {
    for (const netns of this.#made) netns.etc('nsswitch.conf', NSSWITCH);
    this.node.etc('resolv.conf', `nameserver ${V4.resolver}\n`);
    this.usePodNameserver(V4.vip);
  }
}

function remove(made: Netns[], runDir: string): void {
  for (const netns of made.splice(0).reverse()) netns.remove();
  rmSync(runDir, { recursive: true, force: true, maxRetries: 3 });
}
