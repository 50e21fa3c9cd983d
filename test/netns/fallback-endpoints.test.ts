import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Endpoint, formatEndpoint } from '../../agent/base/address.ts';
import type { HeadlessService } from '../support/headless-dns.ts';
import { startEcho, startInit, whoAnswers } from '../support/init.ts';
import { allowedMs } from '../support/machine.ts';
import {
  canMakeNetns,
  connectNetns,
  eventually,
  type Netns,
  type Started,
  sayLeftOut,
  withNetns,
} from '../support/netns.ts';
import { OneConnection } from '../support/one-connection.ts';

const LINK_LOCAL = '169.254.20.10';
const LINK_LOCAL6 = 'fd00::10';
const VIP = '10.96.0.10';
const VIP6 = 'fd00::a';
const SERVICE = 'nodens-endpoints.kube-system.svc.cluster.local';
const POD_DNS = fileURLToPath(new URL('../support/headless-dns.ts', import.meta.url));

/**
 * How soon rules follow while clients depend on them: an interval, two ClusterIPs that are silent, and what it takes; in
 * any case before a libc asks again, after five seconds.
 */
const FOLLOWED_MS = await allowedMs(4_900);

interface Backend {
  readonly name: string;
  readonly space: Netns;
  readonly endpoints: readonly Endpoint[];
}

/**
 * A pod, its node with the link that kube-proxy in IPVS mode makes, and two kube-dns pods with the ClusterIPs before
 * them: what netfilter does not see, and the second of which listens on a port of its own.
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
    // As on another node: there the local IPs are that node's own.
    for (const address of [LINK_LOCAL, LINK_LOCAL6])
      await backends[1].space.run('ip', ['route', 'add', 'unreachable', address]);
    await this.leadVip(0);
  }

  /** Which kube-dns pod the ClusterIPs lead to. */
  async leadVip(to: 0 | 1): Promise<void> {
    const { node } = this;
    await node.run('ip', ['route', 'replace', `${VIP}/32`, 'via', `10.${to + 2}.0.2`]);
    await node.run('ip', ['-6', 'route', 'replace', `${VIP6}/128`, 'via', `fd0${to + 2}::2`]);
  }

  /** What DNS says from now on. */
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

  /** The endpoints that rules on the node lead to. */
  async led(): Promise<string> {
    const ruleset = await this.node.run('nft', ['list', 'ruleset']);
    return [...ruleset.matchAll(/dnat ip6? to .*map \{([^}]*)\}/g)].map((m) => m[1]).join();
  }

  async leads(...backends: readonly Backend[]): Promise<boolean> {
    const led = await this.led();
    return this.backends.every(({ endpoints }, i) =>
      endpoints.every(
        ({ address, port }) =>
          led.includes(`: ${address} . ${port}`) === backends.includes(this.backends[i] as Backend),
      ),
    );
  }
}

async function withCluster(work: (cluster: Cluster) => Promise<void>): Promise<void> {
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

const PATHS = [LINK_LOCAL, LINK_LOCAL6].flatMap((to) =>
  ['+notcp', '+tcp'].map((transport) => [to, transport] as const),
);

const MIN_ROUNDS = 3;
/** Of two endpoints one is chosen by chance: that one is never chosen in so many rounds does not happen. */
const MAX_ROUNDS = 10;

/** Every one of `clients` asks every way, several times: who answered is one of `names`, and each of them did. */
async function expectAnswers(clients: readonly Netns[], ...names: string[]): Promise<void> {
  const seen = new Set<string>();
  for (let i = 0; i < MIN_ROUNDS || (i < MAX_ROUNDS && seen.size < names.length); i++)
    for (const client of clients)
      for (const [to, transport] of PATHS) {
        const who = (await whoAnswers(client, to, transport)) ?? 'nobody';
        assert.ok(names.includes(who), `${who} to ${client.name} on ${to} ${transport}`);
        seen.add(who);
      }
  assert.deepEqual([...seen].sort(), [...names].sort());
}

/** A UDP source port of `client` whose queries go to `name`: as long as it is used, connection tracking sticks to it. */
async function socketLedTo(name: string, client: Netns, source: string): Promise<string[]> {
  for (let port = 40_000; port < 40_040; port++) {
    const socket = ['-b', `${source}#${port}`];
    if ((await whoAnswers(client, LINK_LOCAL, ...socket)) === name) return socket;
  }
  throw new Error(`nothing is led to ${name}`);
}

async function connectionLedTo(name: string, client: Netns): Promise<OneConnection> {
  for (let tries = 0; tries < 40; tries++) {
    const connection = await OneConnection.open(client, LINK_LOCAL);
    if ((await connection.ask('name.test', 'TXT')).includes(name)) return connection;
    await connection.close();
  }
  throw new Error(`no connection is led to ${name}`);
}

/** The endpoints in the last word of an init about its fallback. */
function endpointsSaid(init: Started): string[] {
  const last = init
    .output()
    .split('\n')
    .findLast((line) => line.includes('"msg":"fallback"'));
  return (JSON.parse(last ?? '{}') as { endpoints?: string[] }).endpoints ?? [];
}

if (!canMakeNetns()) sayLeftOut('fallback-endpoints');
else
  describe('fallback where netfilter knows no ClusterIP', { concurrency: false }, () => {
    it('leads to the endpoints that DNS names, before, after and without agent and init', () =>
      withCluster(async (cluster) => {
        const { pod, node, backends } = cluster;
        await cluster.announce(backends);
        for (const backend of backends) await cluster.serve(backend);
        const init = cluster.startInit();
        await eventually('rules to both', () => cluster.leads(...backends));
        // A pod of kube-dns that asks may be led to itself.
        await expectAnswers([pod, node, backends[0].space], 'dns1', 'dns2');

        const agent = await startEcho(node, 'agent', LINK_LOCAL, LINK_LOCAL6);
        await eventually('intercepting', () => init.output().includes('"state":"intercepting"'));
        await expectAnswers([pod, node], 'agent');
        agent.kill('SIGKILL');
        await agent.exited;
        await expectAnswers([pod], 'dns1', 'dns2');
        await eventually('withdrawn', () => init.output().includes('"state":"withdrawn"'));
        await expectAnswers([pod, node], 'dns1', 'dns2');
        init.kill('SIGKILL');
        await init.exited;
        await expectAnswers([pod, node], 'dns1', 'dns2');
      }));

    it('follows when an endpoint goes, the one behind the ClusterIP at that, and takes open sockets along', () =>
      withCluster(async (cluster) => {
        const { pod, node, backends } = cluster;
        await cluster.announce(backends);
        const [, doomed] = [await cluster.serve(backends[0]), await cluster.serve(backends[1])];
        await cluster.leadVip(1);
        cluster.startInit();
        await eventually('rules to both', () => cluster.leads(...backends));
        const ofPod = await socketLedTo('dns2', pod, '10.1.0.2');
        const ofHost = await socketLedTo('dns2', node, LINK_LOCAL);
        const connection = await connectionLedTo('dns2', pod);

        // Silent, as an address that is nobody's any more: a refusal would be an answer.
        doomed.kill('SIGSTOP');
        await cluster.announce([backends[0]]);
        // As a libc asks: once again after five seconds, on the same socket.
        const patient = ['+tries=2', '+time=5'];
        const asked = [
          whoAnswers(pod, LINK_LOCAL, ...ofPod, ...patient),
          whoAnswers(node, LINK_LOCAL, ...ofHost, ...patient),
        ];
        await eventually('rules to what is left', () => cluster.leads(backends[0]), FOLLOWED_MS);
        // dig speaks of the first time, which was in vain.
        const last = (await Promise.all(asked)).map((said) => said?.split('\n').at(-1));
        assert.deepEqual(last, ['dns1', 'dns1']);
        // It is broken at once, instead of waiting for what is not there.
        assert.match(await connection.ask('name.test', 'TXT'), /broken ECONNRESET/);
        await expectAnswers([pod, node], 'dns1');

        doomed.kill('SIGCONT');
        await cluster.announce(backends);
        await eventually('rules to both again', () => cluster.leads(...backends), FOLLOWED_MS);
        await expectAnswers([pod, node], 'dns1', 'dns2');
      }));

    it('leads nowhere while nobody knows, and a socket that asked then is not stuck after', () =>
      withCluster(async (cluster) => {
        const { pod, backends } = cluster;
        await cluster.announce([backends[0]]);
        const init = cluster.startInit();
        await eventually('a reason', () =>
          /"reason":"link kube-ipvs0.*no answer from/.test(init.output()),
        );
        assert.equal(await cluster.led(), '');
        const socket = ['-b', '10.1.0.2#40000'];
        assert.equal(await whoAnswers(pod, LINK_LOCAL, ...socket), undefined);
        await cluster.serve(backends[0]);
        await eventually('rules', () => cluster.leads(backends[0]), FOLLOWED_MS);
        await eventually(
          'its flow has gone',
          async () => (await whoAnswers(pod, LINK_LOCAL, ...socket)) === 'dns1',
          await allowedMs(1_500),
        );
        await cluster.announce([]);
        await eventually('no rules', async () => (await cluster.led()) === '', FOLLOWED_MS);
        assert.match(init.output(), /has no endpoints/);
      }));

    it('two of them on a node, which learn of a change one after the other, do not fight', () =>
      withCluster(async (cluster) => {
        const { backends } = cluster;
        await cluster.announce(backends);
        await cluster.serve(backends[0]);
        const inits = [cluster.startInit(1)];
        await eventually('rules to both', () => cluster.leads(...backends));
        inits.push(cluster.startInit(2));
        await eventually(
          'the second is set up',
          () => inits[1]?.output().includes('"msg":"set up"') === true,
        );
        for (const announced of [[backends[0]], backends, [backends[0]]]) {
          await cluster.announce(announced);
          const texts = announced.flatMap(({ endpoints }) => endpoints.map(formatEndpoint)).sort();
          const know = (): boolean =>
            inits.every((init) => endpointsSaid(init).sort().join() === texts.join());
          await eventually('both know', know, FOLLOWED_MS);
          await eventually('rules', () => cluster.leads(...announced), FOLLOWED_MS);
        }
        for (const init of inits) assert.doesNotMatch(init.output(), /put back|"level":"error"/);
      }));

    it('an init that begins while nobody answers keeps what the last one left', () =>
      withCluster(async (cluster) => {
        const { pod, node, backends } = cluster;
        await cluster.announce([backends[0]]);
        const first = await cluster.serve(backends[0]);
        const old = cluster.startInit();
        await eventually('rules', () => cluster.leads(backends[0]));
        for (const ended of [old, first]) {
          ended.kill('SIGKILL');
          await ended.exited;
        }
        const init = cluster.startInit();
        await eventually('set up', () => init.output().includes('"msg":"set up"'));
        await eventually('a reason', () => init.output().includes('no answer from'));
        assert.equal(await cluster.leads(backends[0]), true);
        await cluster.serve(backends[0]);
        await expectAnswers([pod, node], 'dns1');
      }));
  });
