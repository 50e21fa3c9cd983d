/** `autopath @node` on real sockets: the built agent, a scripted API server, an upstream that knows a few names. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode, encode } from 'dns-packet';
import { askOnce } from '../support/clients/ask-once.ts';
import { endProcess } from '../support/end-process.ts';
import { freePort } from '../support/free-port.ts';
import { pod } from '../support/kubernetes/pods.ts';
import { ScriptedApi } from '../support/kubernetes/scripted-api.ts';
import { eventually } from '../support/netns/netns.ts';
import { runNodens } from '../support/operator.ts';

const MAIN = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));
const PODS = '/api/v1/pods';
const FIRST = 'api.example.com.shop.svc.cluster.local';
/** The pod at 127.0.0.1. */
const WEB = pod({ name: 'web', ips: ['127.0.0.1'] });
const DB = pod({
  name: 'db',
  ips: ['127.0.0.2'],
  dnsConfig: { options: [{ name: 'ndots', value: '1' }] },
});
const TOKEN = 'a-token';

const folder = mkdtempSync(join(tmpdir(), 'nodens-autopath-'));
const conf = join(folder, 'Corefile');
const kubeconfig = join(folder, 'kubeconfig');
const adminSocket = join(folder, 'admin.sock');
let api = new ScriptedApi({ token: TOKEN });
let apiPort = 0;
let port = 0;
let metricsPort = 0;
let upstream: Socket | undefined;
let asked = 0;
let agent: ChildProcess | undefined;
let output = '';

async function serveNames(at: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) => {
    const query = decode(message);
    const [question] = query.questions ?? [];
    if (question === undefined) return;
    asked++;
    const isKnown = question.name === 'api.example.com' && question.type === 'A';
    const isThere = question.name === 'api.example.com';
    const soa = {
      mname: 'ns.example',
      rname: 'x.example',
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum: 30,
    };
    const reply = encode({
      type: 'response',
      id: query.id ?? 0,
      flags: 0x80 | (isThere ? 0 : 3),
      questions: [question],
      answers: isKnown ? [{ type: 'A', name: question.name, ttl: 60, data: '192.0.2.7' }] : [],
      authorities: isKnown ? [] : [{ type: 'SOA', name: 'example', ttl: 30, data: soa }],
    });
    socket.send(reply, peer.port, peer.address);
  });
  socket.bind(at, '127.0.0.1');
  await once(socket, 'listening');
  upstream = socket;
}

/** `type data` of the answers to a client at `from`; `rcode N` without any. */
async function ask(name: string, type: 'A' | 'AAAA' = 'A', from = '127.0.0.1'): Promise<string> {
  const { answers = [], rcode } = await askOnce({ name, type, port, from });
  const lines = answers.map((one) =>
    'data' in one ? `${one.type} ${String(one.data)}` : one.type,
  );
  return lines.length > 0 ? lines.join(', ') : rcode;
}

async function metric(line: RegExp): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
  return Number(line.exec(await response.text())?.[1] ?? 0);
}

const corefile = (autopath: string): string => `
cluster.local:${port} {
  bind 127.0.0.1
  ${autopath}
  cache
  forward . 127.0.0.1:${upstream?.address().port}
  prometheus 127.0.0.1:${metricsPort}
}
.:${port} {
  bind 127.0.0.1
  cache
  forward . 127.0.0.1:${upstream?.address().port}
}
`;

before(async () => {
  await serveNames(await freePort());
  port = await freePort();
  metricsPort = await freePort();
  // Not there at the start of the agent, but at this address later.
  apiPort = Number(new URL(await api.listen()).port);
  await api.close();
  api = new ScriptedApi({ token: TOKEN });
  const text = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${apiPort}` } }],
    users: [{ name: 'u', user: { tokenFile: 'token' } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(text));
  writeFileSync(join(folder, 'token'), `${TOKEN}\n`);
  writeFileSync(conf, corefile(`autopath @node {\nkubeconfig ${kubeconfig}\n}`));
  agent = spawn(process.execPath, [MAIN, 'agent', '-conf', conf, '-basecorefile='], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_NAME: 'worker-1', NODENS_ADMIN_SOCKET: adminSocket },
  });
  agent.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await eventually('the agent serves', () => output.includes('"serving"'));
});

after(async () => {
  await endProcess(agent);
  upstream?.close();
  await api.close();
  rmSync(folder, { recursive: true });
});

describe('autopath @node', () => {
  it('serves while the API server is away, and says so once', async () => {
    assert.equal(await ask(FIRST), 'NXDOMAIN');
    assert.equal(await ask('api.example.com'), 'A 192.0.2.7');
    await eventually('the line in the log', () => output.includes('kubernetes-api'));
    assert.equal(output.split('cannot watch pods').length, 2);
    assert.equal(await metric(/^nodens_autopath_total\{result="found"\} (\d+)/m), 0);
  });

  it('catches up: one query of a pod is enough', async () => {
    api.put(PODS, WEB);
    api.put(PODS, DB);
    api.put(PODS, pod({ name: 'far', ips: ['127.0.0.3'], nodeName: 'worker-2' }));
    await api.listen(apiPort);
    await eventually('the agent knows its pods', async () => (await ask(FIRST)) !== 'NXDOMAIN');
    assert.equal(await ask(FIRST), 'CNAME api.example.com, A 192.0.2.7');
    assert.equal(await ask(FIRST, 'AAAA'), 'CNAME api.example.com');
    assert.deepEqual(
      [...new Set(api.requests.map(({ query }) => query.fieldSelector))],
      ['spec.nodeName=worker-1'],
    );
    await eventually('the line in the log', () =>
      output.includes('watches pods of the API server again'),
    );
  });

  it('costs the upstream nothing that it has been asked', async () => {
    const before = asked;
    for (let n = 0; n < 20; n++) await ask(FIRST);
    assert.equal(asked, before);
    // A page of metrics may be 250 ms old.
    for (const line of [
      /^nodens_autopath_total\{result="found"\} (\d+)/m,
      /^coredns_autopath_success_total\{.*\} (\d+)/m,
    ])
      await eventually(`${line.source} counts 20`, async () => (await metric(line)) >= 20);
  });

  it('stores nothing under the name that the client asked', async () => {
    // The pod's ndots makes this name no expansion; the address is no pod's of this node.
    for (const address of ['127.0.0.2', '127.0.0.3'])
      assert.equal(await ask(FIRST, 'A', address), 'NXDOMAIN', address);
  });

  it('tells `nodens explain` which list a pod has, and that the walk is done here', async () => {
    const explain = async (...words: readonly string[]): Promise<Record<string, unknown>> => {
      const env = { NODENS_ADMIN_SOCKET: adminSocket };
      const { out, err } = await runNodens(['explain', ...words, '-json'], env);
      assert.equal(err, '');
      return JSON.parse(out) as Record<string, unknown>;
    };
    const web = await explain('shop/web', 'api.example.com');
    assert.deepEqual(web.client, { address: '127.0.0.1', pod: 'shop/web', isHostNetwork: false });
    assert.equal((web.search as { from: string }).from, 'pod');
    assert.equal(web.isWalkedHere, true);
    const db = await explain('127.0.0.2', 'api.example.com');
    assert.equal((db.search as { ndots: number }).ndots, 1);
    assert.equal(db.isWalkedHere, false);
    const [first] = db.questions as { name: string; verdict: string }[];
    assert.deepEqual([first?.name, first?.verdict], ['api.example.com.', 'hit']);
  });

  it('stops when the pod is gone', async () => {
    api.delete(PODS, WEB);
    await eventually('the pod is gone', async () => (await ask(FIRST)) === 'NXDOMAIN');
  });

  it('ends with the agent', async () => {
    const ended = once(agent as ChildProcess, 'exit');
    agent?.kill('SIGTERM');
    const [code] = await ended;
    assert.equal(code, 0);
    await eventually('its connections are closed', () => api.connections === 0);
  });
});

describe('an agent that cannot have what autopath needs', () => {
  const started = (autopath: string, env: Readonly<Record<string, string>> = {}): string => {
    writeFileSync(conf, corefile(autopath));
    const { PATH = '' } = process.env;
    const run = spawnSync(process.execPath, [MAIN, 'agent', '-conf', conf, '-basecorefile='], {
      encoding: 'utf8',
      timeout: 20_000,
      env: { PATH, ...env },
    });
    assert.equal(run.status, 1, run.stdout);
    return run.stdout + run.stderr;
  };

  it('does not start, and says where and why', () => {
    const node = { NODE_NAME: 'worker-1' };
    const place = `${conf}:4: `;
    const message = (...args: Parameters<typeof started>): string => {
      const text = started(...args);
      assert.ok(text.includes(place), text);
      return text;
    };
    assert.match(message('autopath @node'), /NODE_NAME is unset/);
    assert.match(message('autopath @node', node), /KUBERNETES_SERVICE_HOST/);
    const cluster = { KUBERNETES_SERVICE_HOST: '192.0.2.1', KUBERNETES_SERVICE_PORT: '443' };
    assert.match(
      message('autopath @node', { ...node, ...cluster }),
      /serviceaccount\/token cannot be read/,
    );
    assert.match(message('autopath @pods', node), /unknown \\?"@pods/);
    writeFileSync(join(folder, 'r'), 'nameserver 192.0.2.1\n');
    assert.match(message(`autopath ${join(folder, 'r')}`), /has no \\?"search/);
  });
});
