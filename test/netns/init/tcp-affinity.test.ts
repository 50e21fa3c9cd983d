/** TCP connections that are open when interception starts or stops: each continues to its last answer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runInit, startEcho, startInit, whoAnswers } from '../../support/netns/init.ts';
import {
  canMakeNetns,
  eventually,
  type Netns,
  type Started,
  sayLeftOut,
  withNetns,
} from '../../support/netns/netns.ts';
import { OneConnection } from '../../support/netns/one-connection.ts';
import { cluster, LINK_LOCAL, LOCAL_IPS, socketPath, VIP, VIP6 } from '../../support/netns/vip.ts';

const CASES = [
  { flag: 'nft', proxy: 'nft' },
  { flag: 'nft', proxy: 'legacy' },
  { flag: 'iptables', proxy: 'nft' },
  { flag: 'iptables', proxy: 'legacy' },
] as const;

interface Held {
  readonly what: string;
  readonly connection: OneConnection;
}

/** A connection from each client to each address. */
async function hold(clients: readonly Netns[], addresses: readonly string[]): Promise<Held[]> {
  const pairs = clients.flatMap((client) => addresses.map((to) => [client, to] as const));
  return Promise.all(
    pairs.map(async ([client, to]) => ({
      what: `${client.name} to ${to}`,
      connection: await OneConnection.open(client, to),
    })),
  );
}

async function expectHeld(held: readonly Held[], expected: string): Promise<void> {
  for (const { what, connection } of held) {
    assert.equal(await connection.ask('name.test', 'TXT'), `NOERROR ${expected}`, what);
    assert.deepEqual(connection.events, ['connected'], what);
  }
}

async function expectNew(
  clients: readonly Netns[],
  expected: string,
  addresses: readonly string[] = [VIP, VIP6],
): Promise<void> {
  for (const client of clients)
    for (const to of addresses)
      assert.equal(await whoAnswers(client, to, '+tcp'), expected, `${client.name} to ${to}`);
}

async function startedInit(node: Netns, ...flags: readonly string[]): Promise<Started> {
  const init = startInit(node, ['--localip', LOCAL_IPS, '--socket', socketPath(), ...flags]);
  await eventually('init is set up', () => init.output().includes('"msg":"set up"'));
  return init;
}

function intercepting(init: Started): Promise<void> {
  return eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
}

/** The connections in the affinity sets of the node. */
async function remembered(node: Netns, set = 'flows4'): Promise<string> {
  return node.run('nft', ['list', 'set', 'inet', 'nodens_flows_main', set]);
}

if (!canMakeNetns()) sayLeftOut('init-flows');
else
  describe('open TCP connections', { concurrency: false }, () => {
    for (const { flag, proxy } of CASES)
      it(`${flag} beside ${proxy}: keep their server when interception starts and stops`, () =>
        withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
          await cluster(pod, node, dns, proxy);
          // A host client's packet to a ClusterIP needs a route before it is translated.
          await node.run('ip', ['route', 'add', 'default', 'via', '10.2.0.2']);
          await node.run('ip', ['-6', 'route', 'add', 'default', 'via', 'fd02::2']);
          const clients = [pod, node];
          const before = await hold(clients, [VIP, VIP6]);
          await expectHeld(before, 'kube-dns');

          const init = await startedInit(node, '--backend', flag);
          await expectHeld(before, 'kube-dns');
          await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
          await intercepting(init);
          await expectHeld(before, 'kube-dns');
          await expectNew(clients, 'agent');

          const during = await hold(clients, [VIP, VIP6, LINK_LOCAL]);
          await expectHeld(during, 'agent');
          init.kill('SIGTERM');
          assert.equal(await init.exited, 0);
          await expectNew(clients, 'kube-dns');
          await expectHeld(during, 'agent');
          await expectHeld(before, 'kube-dns');

          const after = await hold(clients, [VIP, VIP6]);
          await expectHeld(after, 'kube-dns');
          await intercepting(await startedInit(node, '--backend', flag));
          for (const held of [before, after]) await expectHeld(held, 'kube-dns');
          await expectHeld(during, 'agent');
          for (const { connection } of [...before, ...during, ...after]) await connection.close();
        }));

    it('SIGKILL of init: the agent keeps its connections until it ends', () =>
      withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
        await cluster(pod, node, dns, 'nft');
        const init = await startedInit(node);
        const agent = await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
        await intercepting(init);
        const held = await hold([pod], [VIP, VIP6, LINK_LOCAL]);
        init.kill('SIGKILL');
        await init.exited;
        await expectNew([pod], 'kube-dns');
        await expectHeld(held, 'agent');
        agent.kill('SIGKILL');
        await agent.exited;
        for (const { what, connection } of held) {
          await eventually(`${what}: the connection ends`, () => connection.events.length > 1);
          await connection.close();
        }
        await expectNew([pod], 'kube-dns');
      }));

    it('the agent hangs: init resets its connections', () =>
      withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
        await cluster(pod, node, dns, 'nft');
        const init = await startedInit(node);
        const agent = await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
        await intercepting(init);
        const held = await hold([pod], [VIP, VIP6]);
        await expectHeld(held, 'agent');
        agent.kill('SIGSTOP');
        await eventually('init withdraws', () => init.output().includes('does not answer probes'));
        await eventually(
          'init empties the set',
          async () => !/expires/.test(await remembered(node)),
        );
        for (const { connection } of held) {
          assert.match(await connection.ask('name.test', 'TXT'), /broken ECONNRESET/);
          await connection.close();
        }
        await expectNew([pod], 'kube-dns');
      }));

    it('a client port that was connected to the agent can connect to kube-dns', () =>
      withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
        await cluster(pod, node, dns, 'nft');
        const init = await startedInit(node);
        await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
        await intercepting(init);
        // The side that closes first has TIME_WAIT; here it is the client, which may end it after a second.
        const port = ['-b', '10.1.0.2#40000'];
        assert.equal(await whoAnswers(pod, VIP, '+tcp', ...port), 'agent');
        assert.match(await remembered(node, 'closing4'), /10\.1\.0\.2 \. 40000 \. 10\.96\.0\.10/);
        init.kill('SIGTERM');
        await init.exited;
        await eventually(
          'kube-dns answers on the same port',
          async () => (await whoAnswers(pod, VIP, '+tcp', ...port)) === 'kube-dns',
        );
        for (const set of ['flows4', 'closing4'])
          assert.doesNotMatch(await remembered(node, set), /40000/);
      }));

    it('connections that do not fit into the set go to kube-dns from their SYN on', () =>
      withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
        await cluster(pod, node, dns, 'nft');
        const init = await startedInit(node);
        await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
        await intercepting(init);
        const early = await hold([pod], [VIP]);
        await fill(node);
        await expectNew([pod], 'kube-dns', [VIP]);
        await expectNew([pod], 'agent', [VIP6]);
        await expectHeld(early, 'agent');
        const late = await hold([pod], [VIP]);
        await node.run('nft', ['flush', 'set', 'inet', 'nodens_flows_main', 'flows4']);
        await expectHeld(late, 'kube-dns');
        await eventually(
          'the set has room again',
          async () => (await whoAnswers(pod, VIP, '+tcp')) === 'agent',
        );
        for (const { connection } of [...early, ...late]) await connection.close();
      }));

    it('ended connections leave the set soon, and have no conntrack entry', () =>
      withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
        await cluster(pod, node, dns, 'nft');
        await runInit(node, '--localip', LOCAL_IPS, '--once');
        await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
        await node.run('conntrack', ['-F']);
        const [held] = await hold([pod], [VIP]);
        await held?.connection.ask('name.test', 'TXT');
        assert.match(await remembered(node), /expires 4m59s/);
        await held?.connection.close();
        await eventually(
          'the kernel removes the entry from the set',
          async () => !/expires/.test(await remembered(node)),
        );
        assert.match(await remembered(node, 'closing4'), /expires \ds/);
        assert.doesNotMatch(await node.run('conntrack', ['-L']), /dport=53 /);
      }));
  });

/** Fills the set, so that it has no room for another connection over IPv4. */
async function fill(node: Netns): Promise<void> {
  const size = Number(/size (\d+)/.exec(await remembered(node))?.[1]);
  const held = (await remembered(node)).split('expires').length - 1;
  const elements = Array.from(
    { length: size - held },
    (_, i) => `192.0.2.${i >> 15} . ${1 + (i & 0x7fff)} . ${LINK_LOCAL} timeout 1m`,
  );
  const script = `add element inet nodens_flows_main flows4 { ${elements.join(', ')} }\n`;
  await node.run('nft', ['-f', '-'], script);
}
