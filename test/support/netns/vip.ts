/** A pod, its node and a kube-dns, for tests of init's rules. */
import { startEcho, whoAnswers } from './init.ts';
import { connectNetns, eventually, type Netns } from './netns.ts';

export const LINK_LOCAL = '169.254.20.10';
export const LINK_LOCAL6 = 'fd00::10';
export const VIP = '10.96.0.10';
export const VIP6 = 'fd00::a';
export const LOCAL_IPS = `${LINK_LOCAL},${VIP},${VIP6}`;

/** A pod, its node, and a kube-dns behind it to which the node DNATs the VIPs as kube-proxy does. */
export async function cluster(
  pod: Netns,
  node: Netns,
  backend: Netns,
  proxy: 'nft' | 'legacy',
): Promise<void> {
  await connectNetns(pod, '10.1.0.2/24', node, '10.1.0.1/24');
  await connectNetns(backend, '10.2.0.2/24', node, '10.2.0.1/24');
  await connectNetns(pod, 'fd01::2/64', node, 'fd01::1/64');
  await connectNetns(backend, 'fd02::2/64', node, 'fd02::1/64');
  for (const key of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'])
    await node.run('sysctl', ['-qw', `${key}=1`]);
  await pod.run('ip', ['route', 'add', 'default', 'via', '10.1.0.1']);
  await pod.run('ip', ['-6', 'route', 'add', 'default', 'via', 'fd01::1']);
  await backend.run('ip', ['route', 'add', 'default', 'via', '10.2.0.1']);
  await backend.run('ip', ['-6', 'route', 'add', 'default', 'via', 'fd02::1']);
  if (proxy === 'nft') await node.run('nft', ['-f', '-'], KUBE_PROXY_NFT);
  else await legacyKubeProxy(node);
  await startEcho(backend, 'kube-dns', '10.2.0.2', 'fd02::2');
  // Neighbour discovery of IPv6 on fresh links takes a while.
  await eventually(
    'pod reaches kube-dns',
    async () => (await whoAnswers(pod, VIP6)) === 'kube-dns',
  );
}

const KUBE_PROXY_NFT = `
table inet kube-proxy {
  chain pre { type nat hook prerouting priority -100; ${dnat()} }
  chain out { type nat hook output priority -100; ${dnat()} }
}
`;

function dnat(): string {
  return ['udp', 'tcp']
    .map(
      (protocol) =>
        `${protocol} dport 53 ip daddr ${VIP} dnat ip to 10.2.0.2; ` +
        `${protocol} dport 53 ip6 daddr ${VIP6} dnat ip6 to fd02::2;`,
    )
    .join(' ');
}

async function legacyKubeProxy(node: Netns): Promise<void> {
  for (const [program, vip, to] of [
    ['iptables-legacy', VIP, '10.2.0.2'],
    ['ip6tables-legacy', VIP6, 'fd02::2'],
  ] as const)
    for (const chain of ['PREROUTING', 'OUTPUT'])
      for (const protocol of ['udp', 'tcp'])
        await node.run(program, [
          ...['-w', '5', '-t', 'nat', '-A', chain, '-d', vip, '-p', protocol, '--dport', '53'],
          ...['-j', 'DNAT', '--to-destination', to],
        ]);
}

let sockets = 0;

/** A path for init's control socket, a new one at each call. */
export function socketPath(): string {
  return `/tmp/nodens-test-${process.pid}-${++sockets}/control.sock`;
}
