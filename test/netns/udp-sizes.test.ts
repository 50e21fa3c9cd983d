/** The size of UDP answers to a pod, by the address of the node. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  canMakeNetns,
  connectNetns,
  eventually,
  type Netns,
  sayLeftOut,
  withNetns,
} from '../support/netns/netns.ts';

const NODENS = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));
const NODE_IP = '10.1.0.1';
const LINK_LOCAL = '169.254.20.10';
const VIP = '10.96.0.10';
const ON_LOOPBACK = '10.53.0.53';

/** 270 records of 112 bytes. */
const BIG = Array.from(
  { length: 270 },
  (_, i) => `    answer "{{ .Name }} 60 IN TXT ${String(i).padStart(99, 'x')}"`,
).join('\n');
const block = (port: number, ...more: readonly string[]): string => `.:${port} {
  ${more.join('\n  ')}
  cache
  template IN TXT {
${BIG}
  }
}
`;
const PORT = 5_353;
const RAISED_PORT = 5_354;
/** One socket on every address. */
const WILDCARD_PORT = 5_355;
const BIND = `bind ${[NODE_IP, LINK_LOCAL, VIP, ON_LOOPBACK].join(' ')}`;

interface Sizes {
  readonly isTruncated: boolean;
  readonly bytes: number;
  /** The size in the OPT of the answer. */
  readonly reported: number;
}

/** The answer to a pod that accepts 4,096 bytes. */
async function sizesOf(pod: Netns, address: string, port: number): Promise<Sizes> {
  const how = ['+notcp', '+ignore', '+bufsize=4096', '+tries=1', '+time=3'];
  const text = await pod.run('dig', [`@${address}`, '-p', String(port), ...how, 'big.test', 'TXT']);
  return {
    isTruncated: /flags: [a-z ]*\btc\b/.test(text),
    bytes: Number(/MSG SIZE {2}rcvd: (\d+)/.exec(text)?.[1]),
    reported: Number(/udp: (\d+)/.exec(text)?.[1]),
  };
}

async function addresses(node: Netns, pod: Netns): Promise<void> {
  await connectNetns(node, `${NODE_IP}/24`, pod, '10.1.0.2/24');
  await pod.run('ip', ['route', 'add', 'default', 'via', NODE_IP]);
  // Not every kernel has dummy links.
  const [link, end] = ['nodens', 'nodens-end'];
  await node.run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', end]);
  for (const each of [link, end]) await node.run('ip', ['link', 'set', each, 'up']);
  for (const [address, on] of [
    [LINK_LOCAL, link],
    [VIP, link],
    [ON_LOOPBACK, 'lo'],
  ] as const)
    await node.run('ip', ['addr', 'add', `${address}/32`, 'dev', on]);
}

function withAgent(work: (pod: Netns) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-sizes-'));
  const conf = join(folder, 'Corefile');
  const blocks = [
    block(PORT, BIND),
    block(RAISED_PORT, BIND, 'bufsize 3000'),
    block(WILDCARD_PORT),
  ];
  writeFileSync(conf, blocks.join(''));
  const command = [NODENS, 'agent', '-basecorefile=', '-conf', conf, '-localip', VIP];
  return withNetns(['node', 'pod'], async (node, pod) => {
    await addresses(node, pod);
    const agent = node.start(process.execPath, [...command, '-socket', join(folder, 'none')]);
    await eventually('the agent listens', () => agent.output().includes('serving'));
    await work(pod);
  }).finally(() => rmSync(folder, { recursive: true }));
}

if (!canMakeNetns()) sayLeftOut('sizes of UDP answers by address');
else {
  it('answers have at most 4,096 bytes on local IPs, 1,232 elsewhere, or the bufsize', () =>
    withAgent(async (pod) => {
      const cases = [
        ...[LINK_LOCAL, VIP, ON_LOOPBACK].map((address) => [address, PORT, 4_096] as const),
        [NODE_IP, PORT, 1_232] as const,
        [NODE_IP, WILDCARD_PORT, 1_232] as const,
        [VIP, WILDCARD_PORT, 1_232] as const,
        [NODE_IP, RAISED_PORT, 3_000] as const,
        [VIP, RAISED_PORT, 3_000] as const,
      ];
      for (const [address, port, maxBytes] of cases) {
        for (const how of ['miss', 'hit']) {
          const { isTruncated, bytes, reported } = await sizesOf(pod, address, port);
          const where = `${address} port ${port}, ${how}: ${bytes}`;
          assert.ok(isTruncated, where);
          assert.equal(reported, maxBytes, where);
          assert.ok(bytes <= maxBytes && bytes > maxBytes - 250, where);
        }
      }
    }));
}
