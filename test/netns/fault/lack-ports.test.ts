/** A node without a free local port: the agent names the lack of resources, and does not count it against an upstream. */
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
} from '../../support/netns/netns.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const NODE_IP = '10.1.0.1';
const [PORT, METRICS_PORT, UPSTREAM_PORT] = [5_353, 5_354, 5_400];
const FETCH = `fetch('http://127.0.0.1:${METRICS_PORT}/metrics')
  .then((page) => page.text())
  .then((text) => process.stdout.write(text));`;

const UPSTREAM = `.:${UPSTREAM_PORT} {
  bind 127.0.0.1
  template IN ANY {
    answer "{{ .Name }} 60 IN A 192.0.2.1"
  }
}
`;
const agentConf = (transport: string): string => `.:${PORT} {
  bind ${NODE_IP}
  cache
  prometheus 127.0.0.1:${METRICS_PORT}
  forward . 127.0.0.1:${UPSTREAM_PORT} {
    ${transport}
  }
}
`;

let asked = 0;

/** The answer to a pod for a new name. */
function ask(pod: Netns): Promise<string> {
  const how = ['-p', String(PORT), '+notcp', '+tries=1', '+time=5'];
  return pod.run('dig', [`@${NODE_IP}`, ...how, `n${asked++}.test`]);
}

const isAnswered = (text: string): boolean => text.includes('status: NOERROR');
const isLack = (text: string): boolean => /status: SERVFAIL.*this node lacks ports \(/s.test(text);

const setPorts = (node: Netns, range: string): Promise<string> =>
  node.run('sysctl', ['-qw', `net.ipv4.ip_local_port_range=${range}`]);

async function serve(
  node: Netns,
  folder: string,
  name: string,
  text: string,
): Promise<() => string> {
  const conf = join(folder, name);
  writeFileSync(conf, text);
  const started = node.start(process.execPath, [NODENS, 'agent', '-basecorefile=', '-conf', conf]);
  await eventually(`${name} serves`, () => started.output().includes('"serving"'), 60_000);
  return () => started.output();
}

/** Sum of the samples of a series. */
function total(page: string, name: string): number {
  const lines = page.split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

async function starve(node: Netns, pod: Netns, folder: string, transport: string): Promise<void> {
  await connectNetns(node, `${NODE_IP}/24`, pod, '10.1.0.2/24');
  await serve(node, folder, 'upstream', UPSTREAM);
  const log = await serve(node, folder, 'agent', agentConf(transport));
  const range = await node.run('sysctl', ['-n', 'net.ipv4.ip_local_port_range']);
  // The occupier has the only remaining port, over both transports.
  const occupier = node.start(process.execPath, ['-e', OCCUPIER]);
  await eventually('the port is taken', () => occupier.output().includes('taken'), 60_000);
  await setPorts(node, '40000 40000');
  await eventually('a query fails for lack of ports', async () => isLack(await ask(pod)), 60_000);
  await setPorts(node, range.trim().replace(/\s+/, ' '));
  await eventually('the next query is answered', async () => isAnswered(await ask(pod)), 60_000);
  const page = await node.run(process.execPath, ['-e', FETCH]);
  assert.ok(total(page, 'nodens_local_lack_total{what="ports"}') > 0);
  assert.equal(total(page, 'nodens_upstream_failures_total{'), 0);
  assert.equal(total(page, 'coredns_proxy_healthcheck_failures_total{'), 0);
  assert.ok(!log().includes('is down'));
  assert.match(log(), /"level":"error".*"event":"local-lack","what":"ports"/);
}

const OCCUPIER = `
const { createSocket } = require('node:dgram');
const { createServer } = require('node:net');
const udp = createSocket('udp4').bind({ port: 40000, address: '127.0.0.1', exclusive: true });
udp.on('listening', () => {
  createServer().listen(40000, '127.0.0.1', () => process.stdout.write('taken'));
});
`;

if (!canMakeNetns()) sayLeftOut('an agent without local ports');
else
  for (const transport of ['prefer_udp', 'force_tcp'])
    it(`no free local port (${transport}): the agent counts no upstream failure`, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'nodens-ports-'));
      t.after(() => rmSync(folder, { recursive: true }));
      await withNetns(['node', 'pod'], (node, pod) => starve(node, pod, folder, transport));
    });
