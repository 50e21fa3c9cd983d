import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  runInit,
  startEcho,
  startInit,
  startSlowEcho,
  whoAnswers,
} from '../../support/netns/init.ts';
import {
  canMakeNetns,
  connectNetns,
  eventually,
  type Netns,
  sayLeftOut,
  withNetns,
} from '../../support/netns/netns.ts';
import {
  cluster,
  LINK_LOCAL,
  LINK_LOCAL6,
  LOCAL_IPS,
  socketPath,
  VIP,
  VIP6,
} from '../../support/netns/vip.ts';

/** Conntrack entries of DNS on the node, one line each. */
async function tracked(node: Netns): Promise<string[]> {
  const lists = [
    await node.run('conntrack', ['-L']),
    await node.run('conntrack', ['-L', '-f', 'ipv6']),
  ];
  return lists
    .join('\n')
    .split('\n')
    .filter((line) => / dport=53 /.test(line));
}

/** The rules on the node that have matched a packet, as their tool prints them. */
async function counted(node: Netns, backend: string): Promise<string> {
  const text =
    backend === 'nft'
      ? await node.run('nft', ['list', 'ruleset'])
      : await node.run(`${backend}-save`, ['-c', '-t', 'raw']);
  const lines = text.split('\n');
  return lines
    .filter((line) => /packets [1-9]|^\[[1-9].*QUERY-PREROUTING -d/.test(line))
    .join('\n');
}

const CASES = [
  { backend: 'nft', flag: 'nft', proxy: 'nft' },
  { backend: 'nft', flag: 'nft', proxy: 'legacy' },
  { backend: 'iptables-nft', flag: 'iptables', proxy: 'nft' },
  { backend: 'iptables-legacy', flag: 'iptables', proxy: 'legacy' },
] as const;

const PATHS = [
  { to: VIP, flags: [] },
  { to: VIP, flags: ['+tcp'] },
  { to: VIP6, flags: [] },
  { to: VIP6, flags: ['+tcp'] },
] as const;

async function expectAnswers(from: Netns, expected: string): Promise<void> {
  for (const { to, flags } of PATHS)
    assert.equal(await whoAnswers(from, to, ...flags), expected, `${to} ${flags.join()}`);
}

async function expectLinkLocal(clients: readonly Netns[], expected: string): Promise<void> {
  for (const client of clients)
    for (const to of [LINK_LOCAL, LINK_LOCAL6])
      for (const transport of ['+notcp', '+tcp']) {
        const what = `${client.name} to ${to} ${transport}`;
        assert.equal(await whoAnswers(client, to, transport), expected, what);
      }
}

if (!canMakeNetns()) sayLeftOut('init-packets');
else
  describe('packets through the rules of init', { concurrency: false }, () => {
    for (const { backend, flag, proxy } of CASES)
      it(`${backend} beside ${proxy}: the agent answers while it listens, else kube-dns`, () =>
        withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
          await cluster(pod, node, dns, proxy);
          await expectAnswers(pod, 'kube-dns');
          await node.run('conntrack', ['-F']);
          const said = await runInit(node, '--localip', LOCAL_IPS, '--once', '--backend', flag);
          assert.match(said, new RegExp(`"backend":"${backend}"`));
          await expectAnswers(pod, 'kube-dns');
          await node.run('conntrack', ['-F']);

          const agent = await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
          await expectAnswers(pod, 'agent');
          assert.equal(await whoAnswers(pod, LINK_LOCAL), 'agent');
          assert.equal(await whoAnswers(pod, LINK_LOCAL, '+tcp'), 'agent');
          assert.deepEqual(await tracked(node), []);

          agent.kill('SIGKILL');
          await agent.exited;
          await expectAnswers(pod, 'kube-dns');
        }));

    for (const { backend, flag, proxy } of CASES.filter(
      (c) => c.proxy !== 'legacy' || c.flag === 'iptables',
    ))
      it(`${backend}: queries of host clients go to the agent and, after SIGTERM, to kube-dns`, () =>
        withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
          await cluster(pod, node, dns, proxy);
          const args = ['--localip', LOCAL_IPS, '--backend', flag, '--socket', socketPath()];
          const init = startInit(node, args);
          await eventually('init is set up', () => init.output().includes('"msg":"set up"'));
          await startEcho(node, 'agent', LINK_LOCAL, VIP, VIP6);
          await eventually('init intercepts', () =>
            init.output().includes('"state":"intercepting"'),
          );
          await node.run('conntrack', ['-F']);
          await expectAnswers(node, 'agent');
          await expectAnswers(pod, 'agent');
          assert.deepEqual(await tracked(node), []);

          init.kill('SIGTERM');
          assert.equal(await init.exited, 0);
          await expectAnswers(node, 'kube-dns');
          await expectAnswers(pod, 'kube-dns');
          const addresses = await node.run('ip', ['addr', 'show', 'dev', 'lo']);
          for (const ip of LOCAL_IPS.split(',')) assert.match(addresses, new RegExp(` ${ip}/`));
        }));

    for (const { backend, flag, proxy } of CASES)
      it(`${backend} beside ${proxy}: a socket works after withdrawal with a query in flight`, () =>
        withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
          await cluster(pod, node, dns, proxy);
          const args = ['--localip', LOCAL_IPS, '--backend', flag, '--socket', socketPath()];
          const init = startInit(node, args);
          await eventually('init is set up', () => init.output().includes('"msg":"set up"'));
          await startSlowEcho(node, 'agent', 400, LINK_LOCAL, VIP, VIP6);
          await eventually('init intercepts', () =>
            init.output().includes('"state":"intercepting"'),
          );

          const samePort = ['-b', '10.1.0.2#40000'];
          const inFlight = whoAnswers(pod, VIP, ...samePort);
          await eventually('the agent has the query', async () =>
            /query-pod-udp4|NODENS-QUERY-PREROUTING/.test(await counted(node, backend)),
          );
          init.kill('SIGTERM');
          await init.exited;
          assert.equal(await inFlight, 'agent');
          for (let query = 0; query < 3; query++)
            assert.equal(await whoAnswers(pod, VIP, ...samePort), 'kube-dns');
        }));

    for (const { localIps, flags } of [
      { localIps: `${LOCAL_IPS},${LINK_LOCAL6}`, flags: ['--clusterdns', `${VIP},${VIP6}`] },
      { localIps: `${LINK_LOCAL},${LINK_LOCAL6}`, flags: ['--clusterdns', `${VIP},${VIP6}`] },
    ])
      for (const proxy of ['nft', 'legacy'] as const)
        it(`kube-dns answers on ${localIps}, beside ${proxy}, after init or agent was killed`, () =>
          withNetns(['pod', 'node', 'backend'], async (pod, node, dns) => {
            await cluster(pod, node, dns, proxy);
            // A host client's packet to a ClusterIP needs a route before it is translated.
            await node.run('ip', ['route', 'add', 'default', 'via', '10.2.0.2']);
            await node.run('ip', ['-6', 'route', 'add', 'default', 'via', 'fd02::2']);
            const args = ['--localip', localIps, '--socket', socketPath(), ...flags];
            const init = startInit(node, args);
            await eventually('init is set up', () => init.output().includes('"msg":"set up"'));
            const everywhere = (expected: string): Promise<void> =>
              expectLinkLocal([pod, node], expected);
            await everywhere('kube-dns');
            const agent = await startEcho(node, 'agent', ...localIps.split(','));
            await eventually('init intercepts', () =>
              init.output().includes('"state":"intercepting"'),
            );
            await node.run('conntrack', ['-F']);
            await everywhere('agent');
            assert.deepEqual(await tracked(node), []);
            init.kill('SIGKILL');
            await init.exited;
            await everywhere('kube-dns');
            agent.kill('SIGKILL');
            await agent.exited;
            await everywhere('kube-dns');
          }));

    it('the kernel uses no local IP as source address on links without an address', () =>
      withNetns(['node', 'peer'], async (node, peer) => {
        await connectNetns(node, undefined, peer, undefined);
        await connectNetns(node, '192.0.2.1/24', peer, '192.0.2.2/24');
        await connectNetns(node, '2001:db8::1/64', peer, '2001:db8::2/64');
        const links = JSON.parse(await node.run('ip', ['-j', 'link', 'show', 'type', 'veth'])) as {
          ifindex: number;
          ifname: string;
        }[];
        const unnumbered = links.reduce((a, b) => (a.ifindex < b.ifindex ? a : b)).ifname;
        await node.run('ip', ['route', 'add', '198.51.100.0/24', 'dev', unnumbered]);
        await node.run('ip', ['-6', 'route', 'add', '2001:db8:99::/64', 'dev', unnumbered]);
        await runInit(node, '--localip', LOCAL_IPS, '--once');
        assert.match(await node.run('ip', ['route', 'get', '198.51.100.7']), /src 192\.0\.2\.1 /);
        assert.match(await node.run('ip', ['route', 'get', '2001:db8:99::7']), /src 2001:db8::1 /);
      }));
  });
