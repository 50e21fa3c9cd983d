/** The listeners of nodens as built without `bind` and with a wildcard, and their names in series, logs and views. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/free-port.ts';
import { parsePage } from '../support/metrics/page.ts';
import { eventually } from '../support/netns/netns.ts';
import { queryWire } from '../support/server/fixture.ts';
import { overTcp, stopped } from '../support/server/subject.ts';

const NODENS = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));
const BOUND_MS = 20_000;
const folder = mkdtempSync(join(tmpdir(), 'nodens-listening-'));
after(() => rmSync(folder, { recursive: true }));

const running: ChildProcess[] = [];
afterEach(async () => void (await Promise.all(running.splice(0).map(stopped))));

interface Agent {
  readonly port: number;
  readonly metricsPort: number;
  readonly child: ChildProcess;
  output(): string;
  configure(corefile: (port: number, metricsPort: number) => string): void;
}

type CorefileOf = Parameters<Agent['configure']>[0];

async function started(corefile: CorefileOf): Promise<Agent> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const path = join(folder, `Corefile-${port}`);
  const configure: Agent['configure'] = (made) => writeFileSync(path, made(port, metricsPort));
  configure(corefile);
  const child = spawn(process.execPath, [NODENS, 'agent', '-conf', path]);
  running.push(child);
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await eventually('the agent serves', () => text.includes('"serving"'), BOUND_MS);
  return { port, metricsPort, child, configure, output: () => text };
}

/** A response over UDP from the address that was asked: a connected socket accepts no other. */
function overUdpFrom(host: string, port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const give = setTimeout(() => done(new Error(`${host} does not answer`)), BOUND_MS);
    const done = (result: Error | Buffer): void => {
      clearTimeout(give);
      socket.close();
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    socket.on('message', done);
    socket.on('error', done);
    socket.connect(port, host, () => socket.send(queryWire('a.test', 1)));
  });
}

async function assertServed({ port }: Agent, ...hosts: string[]): Promise<void> {
  for (const host of hosts) {
    assert.ok((await overUdpFrom(host, port)).length > 12, host);
    assert.ok((await overTcp({ host, port }, queryWire('a.test', 2), BOUND_MS)) !== undefined);
  }
}

/** Values of `label` on the metrics page, those of servers. */
async function labelsOf({ metricsPort }: Agent): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
  const samples = [...parsePage(await response.text()).values()].flatMap((one) => one.samples);
  const labels = samples.flatMap(({ labels: { server, listener } }) => server ?? listener ?? []);
  return [...new Set(labels.filter((label) => label !== ''))].sort();
}

const plain =
  (...lines: string[]): CorefileOf =>
  (port, metricsPort) =>
    `.:${port} {\n${lines.join('\n')}\nprometheus 127.0.0.1:${metricsPort}\nwhoami\n}\n`;

describe('listening on every address', () => {
  for (const [bind, label] of [
    ['', ''],
    ['bind 0.0.0.0', '0.0.0.0'],
    ['bind ::', '[::]'],
  ] as const)
    it(`${bind || 'no bind'}: serves addresses local by route, as dns://${label}:PORT`, async () => {
      const agent = await started(plain(bind));
      await assertServed(agent, '127.0.0.1', '127.0.0.10', '::1');
      assert.deepEqual(await labelsOf(agent), [`dns://${label}:${agent.port}`]);
    });

  it('log lines and views have the queried address', async () => {
    const view = "view asked {\nexpr server_ip() == '127.0.0.10'\n}";
    const agent = await started(
      (port, metricsPort) =>
        plain('log . "first {local}"', view)(port, metricsPort) +
        plain('log . "second {local}"')(port, metricsPort),
    );
    await assertServed(agent, '127.0.0.10', '127.0.0.11', '::1');
    const lines = () =>
      [...agent.output().matchAll(/\[INFO\] (first|second) (\S+)/g)].map(([, , at]) => at);
    await eventually('the log has six lines', () => lines().length === 6, BOUND_MS);
    assert.match(agent.output(), /first 127\.0\.0\.10\n[\s\S]*first 127\.0\.0\.10\n/);
    assert.match(agent.output(), /second 127\.0\.0\.11\n[\s\S]*second \[::1\]\n/);
    assert.doesNotMatch(agent.output(), /(first 127\.0\.0\.11|second 127\.0\.0\.10)\n/);
  });

  it('a block that binds an address serves it, and the block without bind the others', async () => {
    const agent = await started(
      (port, metricsPort) =>
        plain()(port, metricsPort) +
        `b.test:${port} {\nbind 127.0.0.5\nprometheus 127.0.0.1:${metricsPort}\nwhoami\n}\n`,
    );
    await assertServed(agent, '127.0.0.5', '127.0.0.6');
    const labels = ['', '127.0.0.5'].map((address) => `dns://${address}:${agent.port}`);
    assert.deepEqual(await labelsOf(agent), labels.sort());
  });

  it('a reload from `bind` to none and back loses no query', async () => {
    const agent = await started(plain());
    let count = 0;
    let isOver = false;
    const asking = (async () => {
      for (; !isOver; count++) {
        const response = await overUdpFrom('127.0.0.5', agent.port);
        assert.equal((response[3] as number) & 0xf, 0, 'the agent answered with an error');
      }
    })();
    const corefiles = [plain('bind 127.0.0.5'), plain(), plain('bind 0.0.0.0'), plain('bind ::')];
    for (const [i, corefile] of corefiles.entries()) {
      agent.configure(corefile);
      agent.child.kill('SIGUSR1');
      const reloads = () => agent.output().split('"msg":"reloaded"').length - 1;
      await Promise.race([
        asking,
        eventually('the agent reloads', () => reloads() === i + 1, BOUND_MS),
      ]);
    }
    isOver = true;
    await asking;
    assert.ok(count > 0);
  });
});
