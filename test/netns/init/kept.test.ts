/** The set of local IPs changes with the settings: no client loses answers, and init removes the old rules later. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OneSocketClient } from '../../support/cluster/clients/clients.ts';
import { startEcho, startInit, whoAnswers } from '../../support/netns/init.ts';
import {
  canMakeNetns,
  eventually,
  type Netns,
  type Started,
  sayLeftOut,
  withNetns,
} from '../../support/netns/netns.ts';
import { cluster, LINK_LOCAL, LOCAL_IPS, socketPath, VIP, VIP6 } from '../../support/netns/vip.ts';

/** Queries while both inits run: enough for conntrack to treat an answer as the start of a flow. */
const QUERIES = 6;
/** Time limit for a busy machine. */
const PATIENCE_MS = 40_000;

/** A client that keeps one UDP socket, and with it one port, for all its queries. */
function socketOf({ name }: Netns, server: string): OneSocketClient {
  return new OneSocketClient(
    { argv: (...words) => ['ip', 'netns', 'exec', name, ...words] },
    server,
  );
}

/** Asks with retries, as a resolver does. */
async function expectAnswer(socket: OneSocketClient): Promise<void> {
  for (let tries = 0; tries < 3; tries++) if ((await socket.ask('name.test')) !== undefined) return;
  assert.fail('a socket that was answered gets no answer any more');
}

async function started(node: Netns, localIps: string): Promise<Started> {
  const init = startInit(node, ['--localip', localIps, '--socket', socketPath()]);
  await eventually('init is set up', () => init.output().includes('"msg":"set up"'), PATIENCE_MS);
  return init;
}

async function standing(node: Netns): Promise<string> {
  return node.run('nft', ['list', 'table', 'inet', 'nodens_standing_main']);
}

async function addresses(node: Netns): Promise<string> {
  return node.run('ip', ['addr', 'show', 'dev', 'lo']);
}

async function end(started: Started): Promise<void> {
  started.kill('SIGTERM');
  await started.exited;
}

if (!canMakeNetns()) sayLeftOut('init-kept');
else
  describe('local IPs of earlier settings', { concurrency: false }, () => {
    it('sockets get answers all the time, and then init removes rules and addresses', () =>
      withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
        await cluster(pod, node, dns, 'nft');
        const before = await started(node, LOCAL_IPS);
        const agent = await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
        await eventually(
          'init intercepts',
          () => before.output().includes('"intercepting"'),
          PATIENCE_MS,
        );
        const sockets = [VIP, VIP6].map((server) => socketOf(pod, server));
        for (const socket of sockets) await expectAnswer(socket);

        const after = await started(node, LINK_LOCAL);
        for (let query = 0; query < QUERIES; query++)
          for (const socket of sockets) await expectAnswer(socket);
        assert.match(await standing(node), new RegExp(`${VIP} .*nodens:left-reply`));
        await end(agent);
        await end(before);
        for (const socket of sockets) await expectAnswer(socket);
        for (const server of [VIP, VIP6]) assert.equal(await whoAnswers(pod, server), 'kube-dns');

        await eventually(
          'init removes the addresses',
          async () => !(await addresses(node)).includes(`${VIP}/32`),
          PATIENCE_MS,
        );
        assert.doesNotMatch(await addresses(node), new RegExp(`${VIP6}/`));
        assert.match(await addresses(node), new RegExp(LINK_LOCAL));
        const rules = await standing(node);
        assert.match(rules, new RegExp(LINK_LOCAL));
        assert.doesNotMatch(rules, new RegExp(`${VIP}|${VIP6}`));
        for (const socket of sockets) await expectAnswer(socket);
        assert.equal(
          after.output().split('removed local IPs of earlier settings').length,
          2,
          'init did not log the removal once',
        );
        await Promise.all(sockets.map((socket) => socket.close()));
      }));
  });
