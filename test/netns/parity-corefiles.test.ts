/** Corefiles of distributions and cloud recipes, for this node's addresses: the agent starts with them, and names resolve. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { dataOf, dig } from '../support/cluster/clients/dig.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import { httpGet } from '../support/cluster/observe.ts';
import { V4, V6 } from '../support/cluster/plan.ts';
import { Daemon } from '../support/cluster/process/process.ts';
import { type Programs, programs } from '../support/cluster/process/programs.ts';
import { until } from '../support/cluster/process/wait.ts';
import { corefileFixture } from '../support/corefiles/fixtures.ts';
import { describeSites } from '../support/netns/sites.ts';

type Transport = 'udp' | 'tcp';

/** One Corefile, its replacements for this node, and its expected behaviour. */
interface Shape {
  readonly fixture: string;
  /** Link-local address it answers on; `V4.local` by default. */
  readonly local?: string;
  readonly clusterDns: readonly string[];
  readonly vips?: readonly string[];
  readonly resolvers?: readonly string[];
  /** Servers of its stub domains, and the domain that represents all of them. */
  readonly stubServers?: readonly string[];
  readonly stubDomain?: string;
  /** Reverse zones that are replaced by those of the cluster. */
  readonly reverseZone?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Upstream transport of cluster names and of other names, and whether reverse names belong to the cluster. */
  readonly cluster: Transport;
  readonly world: Transport;
  readonly reverse: 'cluster' | 'world';
  /** The address of /health. */
  readonly health: string;
}

const STUB = 'any.example.com';
const K0S_LOCAL6 = 'fd00:cafe::10';
const TCP_TO_CLUSTER = { cluster: 'tcp', world: 'udp' } as const;

const SHAPES: readonly Shape[] = [
  {
    fixture: 'stock-nodelocaldns',
    clusterDns: [],
    ...TCP_TO_CLUSTER,
    reverse: 'cluster',
    health: `${V4.local}:8080`,
  },
  {
    fixture: 'kubespray',
    local: '169.254.25.10',
    clusterDns: ['10.233.0.3'],
    resolvers: ['9.9.9.9'],
    stubServers: ['192.0.2.53', '192.0.2.54'],
    stubDomain: 'corp.example',
    ...TCP_TO_CLUSTER,
    reverse: 'cluster',
    health: '169.254.25.10:9254',
  },
  {
    fixture: 'kops',
    clusterDns: [],
    cluster: 'udp',
    world: 'udp',
    reverse: 'cluster',
    health: `${V4.local}:3989`,
  },
  {
    fixture: 'k0s',
    clusterDns: ['10.96.0.10', 'fd00:96::a'],
    ...TCP_TO_CLUSTER,
    reverse: 'cluster',
    health: `[${K0S_LOCAL6}]:8080`,
  },
  {
    fixture: 'rke2',
    clusterDns: ['10.43.0.10'],
    ...TCP_TO_CLUSTER,
    reverse: 'world',
    health: `${V4.local}:8080`,
  },
  {
    fixture: 'gardener',
    clusterDns: ['100.64.0.11'],
    vips: ['100.64.0.10'],
    stubServers: ['198.51.100.1', '198.51.100.2:5353'],
    stubDomain: 'corp.example',
    ...TCP_TO_CLUSTER,
    reverse: 'world',
    health: `${V4.local}:8099`,
  },
  {
    fixture: 'deckhouse',
    clusterDns: [],
    vips: ['10.222.0.10'],
    env: {
      CLUSTER_DOMAIN: 'cluster.local',
      NODE_DNS_ADDRESS: V4.local,
      KUBE_DNS_SVC_IP: V4.upstreamVip,
    },
    ...TCP_TO_CLUSTER,
    reverse: 'cluster',
    health: '127.0.0.1:4225',
  },
  {
    fixture: 'gke-stub-domains',
    clusterDns: [],
    // From the ConfigMap kube-dns.
    stubDomain: STUB,
    cluster: 'tcp',
    world: 'tcp',
    reverse: 'world',
    health: `${V4.local}:8080`,
  },
  {
    fixture: 'eks-recipe',
    clusterDns: ['172.20.0.11'],
    vips: ['172.20.0.10'],
    stubServers: ['169.254.169.253'],
    stubDomain: 'amazonaws.com',
    reverseZone: '10.0.0.0/15',
    ...TCP_TO_CLUSTER,
    reverse: 'cluster',
    health: `${V4.local}:8080`,
  },
  {
    fixture: 'aks-recipe',
    clusterDns: ['10.0.0.11'],
    vips: ['10.0.0.10'],
    stubServers: ['168.63.129.16\n'],
    resolvers: ['168.63.129.16:53', '[2001:db8::53]:53'],
    stubDomain: 'privatelink.vaultcore.azure.net',
    ...TCP_TO_CLUSTER,
    reverse: 'world',
    health: `${V4.local}:8080`,
  },
];

/** Texts and their replacements. The first match counts. */
function replacements(shape: Shape): [string, string][] {
  const { clusterDns, vips = [], resolvers = [], stubServers = [], stubDomain } = shape;
  const each = (texts: readonly string[], by: string): [string, string][] =>
    texts.map((text) => [text, text.endsWith('\n') ? `${by}\n` : by]);
  return [
    ...each(resolvers, V4.resolver),
    ...each(stubServers, V4.backends[0]),
    ...each(shape.reverseZone === undefined ? [] : [shape.reverseZone], '10.96.0.0/15'),
    ...each(
      clusterDns.filter((address) => address.includes(':')),
      V6.upstreamVip,
    ),
    ...each(clusterDns, V4.upstreamVip),
    ...each(vips, V4.vip),
    ...(stubDomain === undefined ? [] : [[stubDomain, STUB] as [string, string]]),
  ];
}

function rendered(text: string, shape: Shape): string {
  return replacements(shape).reduce((now, [from, to]) => now.replaceAll(from, to), text);
}

/** Writes the Corefile, and its imports, into `folder`. */
function place(shape: Shape, folder: string): void {
  const { file, text } = corefileFixture(shape.fixture);
  mkdirSync(join(folder, 'kube-dns'), { recursive: true });
  if (shape.fixture === 'gke-stub-domains') {
    const stubs = JSON.stringify({ [STUB]: [V4.backends[0]] });
    writeFileSync(join(folder, 'kube-dns', 'stubDomains'), stubs);
  }
  if (shape.fixture === 'gardener') {
    cpSync(join(file, '..', 'custom'), join(folder, 'custom'), { recursive: true });
    for (const name of readdirSync(join(folder, 'custom'))) {
      const part = join(folder, 'custom', name);
      writeFileSync(part, rendered(readFileSync(part, 'utf8'), shape));
    }
  }
  writeFileSync(join(folder, 'Corefile.base'), rendered(text, shape));
}

describeSites(
  'Corefiles of distributions',
  (proxy) => {
    let cluster: Cluster;
    let built: Programs;

    before(async () => {
      cluster = await Cluster.up(proxy);
      built = await programs(cluster.runDir);
      for (const address of [V4.local, '169.254.25.10', V4.vip]) {
        await cluster.node.ip('addr', 'add', `${address}/32`, 'scope', 'host', 'dev', 'lo');
      }
      await cluster.node.ip('addr', 'add', `${K0S_LOCAL6}/128`, 'dev', 'lo');
    });
    after(() => cluster.down());

    function start(shape: Shape): Daemon {
      const folder = join(cluster.runDir, shape.fixture);
      place(shape, folder);
      const { local = V4.local } = shape;
      const argv = [
        ...[built.node, built.nodens, '-localip', local, '-upstreamsvc', 'kube-dns-upstream'],
        ...['-setupinterface=false', '-setupiptables=false'],
        ...['-basecorefile', `${folder}/Corefile.base`, '-conf', `${folder}/Corefile`],
        ...['-kubednscm', `${folder}/kube-dns`],
      ];
      return new Daemon({
        ...{ name: shape.fixture, netns: cluster.node, argv, logFile: `${folder}/log` },
        env: { ...shape.env, KUBE_DNS_UPSTREAM_SERVICE_HOST: V4.upstreamVip },
      });
    }

    /** Asks from a pod; returns the data of the answer and the path of the only upstream query. */
    async function ask(shape: Shape, name: string, type = 'A'): Promise<string> {
      const { local = V4.local } = shape;
      const before = cluster.wayOf(name);
      const answer = await dig(cluster.pods[0], { server: local, name, type });
      // The name servers' logs have no common order.
      const way = cluster.wayOf(name);
      for (const step of before) way.splice(way.indexOf(step), 1);
      return [answer.status, ...dataOf(answer), ...way].join(' ').replace(/dns[12]/, 'kube-dns');
    }

    async function asksEverything(shape: Shape): Promise<void> {
      const id = shape.fixture.toLowerCase();
      assert.equal(
        await ask(shape, `${id}.any.default.svc.cluster.local`),
        `NOERROR 10.96.9.9 kube-dns ${shape.cluster}`,
      );
      const reverse = await ask(shape, '7.7.96.10.in-addr.arpa', 'PTR');
      if (shape.reverse === 'world') assert.match(reverse, /^NXDOMAIN internet (udp|tcp)$/);
      else
        assert.match(reverse, /^NOERROR web\.default\.svc\.cluster\.local\. kube-dns (udp|tcp)$/);
      assert.equal(
        await ask(shape, 'host.example.org'),
        `NOERROR 192.0.2.91 internet ${shape.world}`,
      );
      if (shape.stubDomain !== undefined) {
        assert.equal(await ask(shape, `${id}.${STUB}`), 'NOERROR 192.0.2.81 kube-dns udp');
      }
      assert.equal(await httpGet(cluster.node, `http://${shape.health}/health`), 'OK');
    }

    for (const shape of SHAPES) {
      it(shape.fixture, async () => {
        const nodens = start(shape);
        try {
          const { local = V4.local } = shape;
          await until(
            'an answer',
            async () => {
              assert.ok(nodens.running, nodens.tail());
              const name = 'kubernetes.default.svc.cluster.local';
              const first = await dig(cluster.pods[0], { server: local, name, timeoutSeconds: 1 });
              return first.status === 'NOERROR';
            },
            10_000,
            () => nodens.tail(),
          );
          await asksEverything(shape);
        } catch (error) {
          throw new Error(`${String(error)}\n${nodens.tail()}`);
        } finally {
          await nodens.stop('SIGKILL');
        }
      });
    }
  },
  ['nft'],
);
