/**
 * What `autopath @node` costs the agent as built: memory with 110 pods, and CPU for a query, beside a plain hit. Both agents
 * run at the same time, and each round asks all in turn. `node test/bench/kubernetes/autopath.ts [ROUNDS]`
 */
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode, encode } from 'dns-packet';
import { askOnce } from '../../support/clients/ask-once.ts';
import { freePort } from '../../support/free-port.ts';
import { pod } from '../../support/kubernetes/pods.ts';
import { ScriptedApi } from '../../support/kubernetes/scripted-api.ts';
import { MemoryGroup } from '../../support/netns/memory-group.ts';
import { eventually } from '../../support/netns/netns.ts';
import { Authority } from '../../support/upstream/certificates.ts';
import { ask } from '../load.ts';
import { type Memory, Server } from '../process.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const PODS = 110;
/** A pod with containers, probes, volumes, conditions and managed fields. */
const POD_BYTES = 8_000;
const SECONDS = 2;
const SETTLE_MS = 20_000;
const ADDRESS = '192.0.2.7';

const NAMES = 500;
/** Of the manifests: the agent sizes its heap for it. */
const LIMIT_BYTES = 128 * 2 ** 20;

const SERVICE = /^web\d+\.shop\.svc\.cluster\.local$/;
const QUESTIONS = {
  'a Service': (i: number) => `web${i}.shop.svc.cluster.local`,
  'an outside name': (i: number) => `host${i}.example.org`,
  'the first expansion': (i: number) => `host${i}.example.org.shop.svc.cluster.local`,
} as const;
type Asked = keyof typeof QUESTIONS;

interface Certificates {
  readonly cert: string;
  readonly key: string;
}

/** The API server, in a process of its own. The pod at 127.0.0.1 is in the namespace shop. */
async function serve(tls: Certificates): Promise<void> {
  const api = new ScriptedApi({ tls });
  for (let i = 0; i < PODS; i++) {
    const ips = i === 0 ? ['127.0.0.1'] : [`10.244.0.${i}`];
    const fields = { name: `web-${i}`, namespace: i === 0 ? 'shop' : `n${i % 20}`, ips };
    const object = pod(fields);
    const managedFields = [{ manager: 'kubelet', text: 'x'.repeat(POD_BYTES) }];
    const metadata = { ...object.metadata, managedFields };
    api.put('/api/v1/pods', { ...object, metadata });
  }
  process.send?.(await api.listen());
}

/** Denies everything below cluster.local but Services, and knows every outside name. */
async function upstream(): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) => {
    const { id = 0, questions = [] } = decode(message);
    const [question] = questions;
    if (question === undefined) return;
    const { name } = question;
    const isThere = !name.endsWith('cluster.local') || SERVICE.test(name);
    const soa = { mname: 'ns', rname: 'x', serial: 1, refresh: 1, retry: 1, expire: 1 };
    const zone = { type: 'SOA', name: 'cluster.local', ttl: 600, data: { ...soa, minimum: 600 } };
    const reply = encode({
      type: 'response',
      id,
      flags: 0x80 | (isThere ? 0 : 3),
      questions: [question],
      answers: isThere ? [{ type: 'A', name, ttl: 600, data: ADDRESS }] : [],
      authorities: isThere ? [] : [zone as never],
    });
    socket.send(reply, peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.unref();
  return socket.address().port;
}

/** As in the manifests, with metrics. */
function corefile(
  port: number,
  metricsPort: number,
  upstreamPort: number,
  autopath: string,
): string {
  return `cluster.local:${port} {
bind 127.0.0.1
prometheus 127.0.0.1:${metricsPort}
${autopath}
cache {
success 9984 600
denial 9984 600
}
forward . 127.0.0.1:${upstreamPort}
}
.:${port} {
bind 127.0.0.1
cache 600
forward . 127.0.0.1:${upstreamPort}
}
`;
}

interface Agent {
  readonly server: Server;
  readonly port: number;
  readonly group: MemoryGroup | undefined;
}

async function start(
  folder: string,
  name: string,
  upstreamPort: number,
  line: string,
): Promise<Agent> {
  const port = await freePort();
  const file = join(folder, `Corefile-${name}`);
  writeFileSync(file, corefile(port, await freePort(), upstreamPort, line));
  // Authorities that this machine adds to Node's are no part of the agent.
  const machine = {
    NODE_EXTRA_CA_CERTS: '',
    SSL_CERT_FILE: '/dev/null',
    SSL_CERT_DIR: '/dev/null',
  };
  const own = { NODE_NAME: 'worker-1', NODENS_ADMIN_SOCKET: join(folder, `${name}.sock`) };
  const env = { ...machine, ...own };
  const group = MemoryGroup.make();
  group?.limit(LIMIT_BYTES);
  const agent = [process.execPath, NODENS, 'agent', '-conf', file, '-basecorefile='];
  const argv = group?.command(agent) ?? agent;
  const server = new Server({ argv, env }, join(folder, `${name}.log`));
  await eventually('it answers', async () => {
    const reply = await askOnce({ name: QUESTIONS['an outside name'](0), type: 'A', port }).catch(
      () => undefined,
    );
    return reply !== undefined;
  });
  return { server, port, group };
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const megabytes = ({ rssMb, anonymousMb }: Memory): string =>
  `resident ${rssMb.toFixed(1)} MB, anonymous ${anonymousMb.toFixed(1)} MB`;

/** User and system CPU of one answered query, microseconds. */
async function cost({ server, port }: Agent, file: string): Promise<number> {
  const before = server.cpu();
  const { completed } = await ask({ port, file, transport: 'udp', seconds: SECONDS });
  const after = server.cpu();
  return ((after.user + after.sys - before.user - before.sys) * 1_000) / completed;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] as number;

async function costs(folder: string, agents: Readonly<Record<string, Agent>>, rounds: number) {
  const cells = new Map<string, number[]>();
  for (const [what, nameOf] of Object.entries(QUESTIONS)) {
    const lines = Array.from({ length: NAMES }, (_, i) => `${nameOf(i)}. A`);
    writeFileSync(join(folder, what), `${lines.join('\n')}\n`);
  }
  for (let round = 0; round <= rounds; round++)
    for (const what of Object.keys(QUESTIONS) as Asked[])
      for (const [name, agent] of Object.entries(agents)) {
        const key = `${what}, ${name}`;
        const us = await cost(agent, join(folder, what));
        // The first round compiles the code.
        if (round > 0) cells.set(key, [...(cells.get(key) ?? []), us]);
      }
  const plain = median(cells.get('a Service, without') as number[]);
  for (const [key, values] of cells) {
    const us = median(values);
    print(`${key}: ${us.toFixed(1)} µs of CPU, ${(us / plain).toFixed(2)} of a plain hit`);
  }
}

async function measure(rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-autopath-bench-'));
  const authority = new Authority();
  const { cert, key } = authority.sign('IP:127.0.0.1');
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, authority.pem);
  const api = fork(fileURLToPath(import.meta.url), ['serve', cert, key]);
  const [url] = (await once(api, 'message')) as [string];
  const upstreamPort = await upstream();
  const line = `autopath @node {\nendpoint ${url}\ntls ${cert} ${key} ${ca}\n}`;
  const agents = {
    without: await start(folder, 'without', upstreamPort, ''),
    with: await start(folder, 'with', upstreamPort, line),
  };
  try {
    const name = QUESTIONS['the first expansion'](0);
    await eventually('the pods are known', async () => {
      const { answers = [] } = await askOnce({ name, type: 'A', port: agents.with.port });
      return answers.length > 0;
    });
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const memories = (when: string): void => {
      for (const [which, { server }] of Object.entries(agents))
        print(`${which} autopath, ${when}: ${megabytes(server.memory())}`);
    };
    memories('idle');
    await costs(folder, agents, rounds);
    memories('under load');
  } finally {
    await Promise.all(
      Object.values(agents).map(async ({ server, group }) => {
        await server.stop();
        await group?.remove();
      }),
    );
    api.kill();
    authority.remove();
    rmSync(folder, { recursive: true });
  }
}

const [mode = '5', cert = '', key = ''] = process.argv.slice(2);
if (mode === 'serve')
  await serve({ cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') });
else await measure(Number(mode));
