import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatEndpoint } from '../../../agent/base/address.ts';
import { allowedMs } from '../../support/machine.ts';
import { LINK_LOCAL, LINK_LOCAL6, withCluster } from '../../support/netns/fallback-cluster.ts';
import { startEcho, whoAnswers } from '../../support/netns/init.ts';
import {
  canMakeNetns,
  eventually,
  type Netns,
  type Started,
  sayLeftOut,
} from '../../support/netns/netns.ts';
import { OneConnection } from '../../support/netns/one-connection.ts';

/**
 * The delay of rule changes while clients need them: an interval, two silent ClusterIPs, and the work; in
 * any case before a libc asks again, after five seconds.
 */
const FOLLOWED_MS = await allowedMs(4_900);

const PATHS = [LINK_LOCAL, LINK_LOCAL6].flatMap((to) =>
  ['+notcp', '+tcp'].map((transport) => [to, transport] as const),
);

const MIN_ROUNDS = 3;
/** The kernel chooses one of two endpoints at random: after this many rounds it has chosen each. */
const MAX_ROUNDS = 10;

/** Each of `clients` asks on each path several times: only `names` answer, and each of them at least once. */
async function expectAnswers(clients: readonly Netns[], ...names: string[]): Promise<void> {
  const seen = new Set<string>();
  for (let i = 0; i < MIN_ROUNDS || (i < MAX_ROUNDS && seen.size < names.length); i++)
    for (const client of clients)
      for (const [to, transport] of PATHS) {
        const answerer = (await whoAnswers(client, to, transport)) ?? 'none';
        assert.ok(names.includes(answerer), `${answerer} to ${client.name} on ${to} ${transport}`);
        seen.add(answerer);
      }
  assert.deepEqual([...seen].sort(), [...names].sort());
}

/** A UDP source port of `client` whose queries go to `name`: while it is in use, connection tracking keeps the endpoint. */
async function socketLedTo(name: string, client: Netns, source: string): Promise<string[]> {
  for (let port = 40_000; port < 40_040; port++) {
    const socket = ['-b', `${source}#${port}`];
    if ((await whoAnswers(client, LINK_LOCAL, ...socket)) === name) return socket;
  }
  throw new Error(`no query goes to ${name}`);
}

async function connectionLedTo(name: string, client: Netns): Promise<OneConnection> {
  for (let tries = 0; tries < 40; tries++) {
    const connection = await OneConnection.open(client, LINK_LOCAL);
    if ((await connection.ask('name.test', 'TXT')).includes(name)) return connection;
    await connection.close();
  }
  throw new Error(`no connection goes to ${name}`);
}

/** The endpoints in an init’s last log line about its fallback. */
function endpointsSaid(init: Started): string[] {
  const last = init
    .output()
    .split('\n')
    .findLast((line) => line.includes('"msg":"fallback"'));
  return (JSON.parse(last ?? '{}') as { endpoints?: string[] }).endpoints ?? [];
}

if (!canMakeNetns()) sayLeftOut('fallback-endpoints');
else
  describe('fallback where netfilter has no ClusterIP', { concurrency: false }, () => {
    it('leads queries to the endpoints in DNS, before and after agent and init run', () =>
      withCluster(async (cluster) => {
        const { pod, node, backends } = cluster;
        await cluster.announce(backends);
        for (const backend of backends) await cluster.serve(backend);
        const init = cluster.startInit();
        await eventually('rules name both endpoints', () => cluster.hasDnatTo(...backends));
        // A pod of kube-dns may get its own query.
        await expectAnswers([pod, node, backends[0].space], 'dns1', 'dns2');

        const agent = await startEcho(node, 'agent', LINK_LOCAL, LINK_LOCAL6);
        await eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
        await expectAnswers([pod, node], 'agent');
        agent.kill('SIGKILL');
        await agent.exited;
        await expectAnswers([pod], 'dns1', 'dns2');
        await eventually('init has withdrawn', () => init.output().includes('"state":"withdrawn"'));
        await expectAnswers([pod, node], 'dns1', 'dns2');
        init.kill('SIGKILL');
        await init.exited;
        await expectAnswers([pod, node], 'dns1', 'dns2');
      }));

    it('changes when an endpoint ends, even behind the ClusterIP, also for open sockets', () =>
      withCluster(async (cluster) => {
        const { pod, node, backends } = cluster;
        await cluster.announce(backends);
        const [, doomed] = [await cluster.serve(backends[0]), await cluster.serve(backends[1])];
        await cluster.leadVip(1);
        cluster.startInit();
        await eventually('rules name both endpoints', () => cluster.hasDnatTo(...backends));
        const ofPod = await socketLedTo('dns2', pod, '10.1.0.2');
        const ofHost = await socketLedTo('dns2', node, LINK_LOCAL);
        const connection = await connectionLedTo('dns2', pod);

        // It is silent, like an address without a host: a refusal would be an answer.
        doomed.kill('SIGSTOP');
        await cluster.announce([backends[0]]);
        // As a libc asks: one retry after five seconds, on the same socket.
        const patient = ['+tries=2', '+time=5'];
        const asked = [
          whoAnswers(pod, LINK_LOCAL, ...ofPod, ...patient),
          whoAnswers(node, LINK_LOCAL, ...ofHost, ...patient),
        ];
        await eventually(
          'rules name only the remaining endpoint',
          () => cluster.hasDnatTo(backends[0]),
          FOLLOWED_MS,
        );
        // dig reports the first attempt, which had no answer.
        const last = (await Promise.all(asked)).map((said) => said?.split('\n').at(-1));
        assert.deepEqual(last, ['dns1', 'dns1']);
        // It is reset at once, instead of waiting for a missing endpoint.
        assert.match(await connection.ask('name.test', 'TXT'), /broken ECONNRESET/);
        await expectAnswers([pod, node], 'dns1');

        doomed.kill('SIGCONT');
        await cluster.announce(backends);
        await eventually(
          'rules name both endpoints again',
          () => cluster.hasDnatTo(...backends),
          FOLLOWED_MS,
        );
        await expectAnswers([pod, node], 'dns1', 'dns2');
      }));

    it('gives no answer without endpoints, and the same client socket gets answers later', () =>
      withCluster(async (cluster) => {
        const { pod, backends } = cluster;
        await cluster.announce([backends[0]]);
        const init = cluster.startInit();
        await eventually('init logs why there is no fallback', () =>
          /"reason":"link kube-ipvs0.*no answer from/.test(init.output()),
        );
        assert.equal(await cluster.dnatTargets(), '');
        const socket = ['-b', '10.1.0.2#40000'];
        assert.equal(await whoAnswers(pod, LINK_LOCAL, ...socket), undefined);
        await cluster.serve(backends[0]);
        await eventually(
          'rules name exactly these endpoints',
          () => cluster.hasDnatTo(backends[0]),
          FOLLOWED_MS,
        );
        await eventually(
          'init removes the flow of the first query',
          async () => (await whoAnswers(pod, LINK_LOCAL, ...socket)) === 'dns1',
          await allowedMs(1_500),
        );
        await cluster.announce([]);
        await eventually(
          'init removes the rules',
          async () => (await cluster.dnatTargets()) === '',
          FOLLOWED_MS,
        );
        assert.match(init.output(), /has no endpoints/);
      }));

    it("two inits that see a change at different times do not undo each other's rules", () =>
      withCluster(async (cluster) => {
        const { backends } = cluster;
        await cluster.announce(backends);
        await cluster.serve(backends[0]);
        const inits = [cluster.startInit(1)];
        await eventually('rules name both endpoints', () => cluster.hasDnatTo(...backends));
        inits.push(cluster.startInit(2));
        await eventually(
          'the second init is set up',
          () => inits[1]?.output().includes('"msg":"set up"') === true,
        );
        for (const announced of [[backends[0]], backends, [backends[0]]]) {
          await cluster.announce(announced);
          const texts = announced.flatMap(({ endpoints }) => endpoints.map(formatEndpoint)).sort();
          const know = (): boolean =>
            inits.every((init) => endpointsSaid(init).sort().join() === texts.join());
          await eventually('both inits know the endpoints', know, FOLLOWED_MS);
          await eventually(
            'rules name exactly these endpoints',
            () => cluster.hasDnatTo(...announced),
            FOLLOWED_MS,
          );
        }
        for (const init of inits) assert.doesNotMatch(init.output(), /put back|"level":"error"/);
      }));

    it('an init that starts while no endpoint answers keeps the rules of the init before it', () =>
      withCluster(async (cluster) => {
        const { pod, node, backends } = cluster;
        await cluster.announce([backends[0]]);
        const first = await cluster.serve(backends[0]);
        const old = cluster.startInit();
        await eventually('rules name exactly these endpoints', () =>
          cluster.hasDnatTo(backends[0]),
        );
        for (const ended of [old, first]) {
          ended.kill('SIGKILL');
          await ended.exited;
        }
        const init = cluster.startInit();
        await eventually('init is set up', () => init.output().includes('"msg":"set up"'));
        await eventually('init logs why there is no fallback', () =>
          init.output().includes('no answer from'),
        );
        assert.equal(await cluster.hasDnatTo(backends[0]), true);
        await cluster.serve(backends[0]);
        await expectAnswers([pod, node], 'dns1');
      }));
  });
