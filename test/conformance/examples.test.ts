/**
 * Every Corefile of `examples/`: the built agent starts with it and behaves as the example says. Outside addresses
 * are replaced by servers of this test on loopback, each of which answers with its own address.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TYPE } from '../../agent/dns/iana.ts';
import { freePort } from '../support/free-port.ts';
import { eventually } from '../support/netns/netns.ts';
import { stopped } from '../support/server/subject.ts';
import { Authority } from '../support/upstream/certificates.ts';
import { type FakeServer, startServer } from '../support/upstream/server.ts';
import { startUnbound } from '../support/upstream/tls-unbound.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));
const LOOPBACK: Readonly<Record<string, string>> = {
  '169.254.20.10': '127.0.0.1',
  'fd00::10': '::1',
};
const UPSTREAM = /(?:tls:\/\/)?(?:[\d.]{7,}|[\da-f]+:[\da-f:]+)|\/etc\/resolv\.conf/g;

class Example {
  /** By the address that the Corefile names. */
  readonly upstreams = new Map<string, FakeServer>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'nodens-example-'));
  readonly #cleanups: (() => unknown)[] = [];
  #port = 0;
  #child: ChildProcess | undefined;

  async start(file: string): Promise<void> {
    cpSync('examples', this.#folder, { recursive: true });
    this.#port = await freePort();
    let text = readFileSync(file, 'utf8').replaceAll(/ *#.*/g, '');
    for (const [line] of text.matchAll(/^ *forward .*$/gm))
      text = text.replace(line, await this.#onLoopback(line));
    for (const [address, loopback] of Object.entries(LOOPBACK))
      text = text.replaceAll(address, loopback);
    text = text
      .replaceAll(/(?<=[a-z.]):53(?= )/g, `:${this.#port}`)
      .replaceAll(':9253', `127.0.0.1:${await freePort()}`)
      .replaceAll('/etc/nodens', this.#folder)
      // Shortens the test.
      .replaceAll('cache 30 {', 'cache 5 {');
    const path = join(this.#folder, 'Corefile');
    writeFileSync(path, text);
    this.#child = spawn(process.execPath, [MAIN, 'agent', '-conf', path], { stdio: 'ignore' });
    const host = text.includes('bind 127.0.0.1') ? '127.0.0.1' : '::1';
    await eventually(
      'the agent answers',
      async () => (await this.ask('ready.test', 'A', host)).isThere,
    );
  }

  /** The line with servers of this test as its upstreams. */
  async #onLoopback(line: string): Promise<string> {
    let own = line;
    for (const [upstream] of line.matchAll(UPSTREAM))
      own = own.replace(upstream, await this.#serve(upstream));
    return own;
  }

  async #serve(upstream: string): Promise<string> {
    if (upstream.startsWith('tls://')) {
      const authority = new Authority();
      writeFileSync(join(this.#folder, 'ca.pem'), authority.pem);
      const resolver = await startUnbound(authority, authority.sign('DNS:dns.corp.example'));
      this.#cleanups.push(
        () => resolver.stop(),
        () => authority.remove(),
      );
      return `tls://127.0.0.1:${resolver.port}`;
    }
    const last = this.upstreams.size + 1;
    const known = this.upstreams.get(upstream);
    const server =
      known ??
      (await startServer((asked) =>
        asked.answer(asked.head.type === TYPE.A ? { address: [198, 51, 100, last] } : {}),
      ));
    if (known === undefined) this.#cleanups.push(() => server.close());
    this.upstreams.set(upstream, server);
    return `127.0.0.1:${server.port}`;
  }

  async ask(name: string, type: string, host = '127.0.0.1'): Promise<Said> {
    const at = [`@${host}`, '-p', `${this.#port}`, '+tries=1', '+time=2', '+nocookie'];
    const text = await run('dig', [...at, name, type]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );
    const lines = text.split('\n').filter((line) => /^[^;]/.test(line));
    return {
      isThere: text.includes('status:'),
      answers: lines
        .map((line) => line.split(/\s+/))
        .map(([owner, , , , data]) => `${owner} ${data}`),
      isStale: /EDE: 3\b/.test(text),
    };
  }

  /** The upstream of an answer, by its address in the Corefile. */
  by(said: Said): string | undefined {
    const last = /198\.51\.100\.(\d+)$/.exec(said.answers[0] ?? '')?.[1];
    return [...this.upstreams.keys()][Number(last) - 1];
  }

  async stop(): Promise<void> {
    if (this.#child !== undefined) await stopped(this.#child);
    for (const cleanup of this.#cleanups) await cleanup();
    rmSync(this.#folder, { recursive: true });
  }
}

interface Said {
  readonly isThere: boolean;
  /** Owner and data of each answer. */
  readonly answers: readonly string[];
  readonly isStale: boolean;
}

/** The check of each example. */
const POINTS: Readonly<Record<string, (example: Example) => Promise<void>>> = {
  'cluster.corefile': async (example) => {
    const ofCluster = await example.ask('a.default.svc.cluster.local', 'A');
    assert.equal(example.by(ofCluster), '10.96.0.10');
    const [last] = example.upstreams.get('10.96.0.10')?.seen.slice(-1) ?? [];
    assert.equal(last?.transport, 'tcp');
    assert.equal(example.by(await example.ask('www.example', 'A')), '/etc/resolv.conf');
  },
  'stub-domain.corefile': async (example) => {
    assert.equal(example.by(await example.ask('db.corp.example', 'A')), '192.0.2.10');
    assert.equal(example.by(await example.ask('www.example', 'A')), '192.0.2.53');
    await example.upstreams.get('192.0.2.10')?.close();
    await eventually('the second server of the domain answers', async () => {
      return example.by(await example.ask('other.corp.example', 'A')) === '192.0.2.11';
    });
  },
  'upstream-over-tls.corefile': async (example) => {
    const { answers } = await example.ask('www.example.org', 'A');
    assert.deepEqual(answers, ['www.example.org. 192.0.2.80']);
  },
  'blocklist.corefile': async (example) => {
    for (const name of ['ads.example', 'a.ads.example']) {
      assert.deepEqual((await example.ask(name, 'A')).answers, [`${name}. 0.0.0.0`]);
      assert.deepEqual((await example.ask(name, 'AAAA')).answers, [`${name}. ::`]);
    }
    assert.equal(example.by(await example.ask('www.example', 'A')), '192.0.2.53');
  },
  'dual-stack.corefile': async (example) => {
    const first = await example.ask('a.default.svc.cluster.local', 'A', '127.0.0.1');
    const second = await example.ask('a.default.svc.cluster.local', 'A', '::1');
    assert.match(example.by(first) ?? '', /^(10\.96\.0\.10|fd00:10:96::a)$/);
    assert.deepEqual(second.answers, first.answers, 'the second answer is not from the cache');
  },
  'outage.corefile': async (example) => {
    const { answers } = await example.ask('www.example', 'A');
    for (const upstream of example.upstreams.values()) await upstream.close();
    // After its TTL.
    await eventually(
      'the agent gives a stale answer',
      async () => (await example.ask('www.example', 'A')).isStale,
    );
    assert.deepEqual((await example.ask('www.example', 'A')).answers, answers);
  },
  'nat64.corefile': async (example) => {
    const { answers } = await example.ask('www.example', 'AAAA', '::1');
    assert.deepEqual(answers, ['www.example. 64:ff9b::c633:6401']);
  },
  'moved-service.corefile': async (example) => {
    const { answers } = await example.ask('db.shop.svc.cluster.local', 'A');
    assert.deepEqual(answers, ['db.shop.svc.cluster.local. 198.51.100.1']);
    const { head } = example.upstreams.get('10.96.0.10')?.seen.at(-1) ?? {};
    assert.match(Buffer.from(head?.name ?? []).toString('latin1'), /storage/);
  },
};

describe('examples', () => {
  const started: Example[] = [];
  after(async () => {
    for (const example of started) await example.stop();
  });

  for (const [file, point] of Object.entries(POINTS))
    it(file, async () => {
      const example = new Example();
      started.push(example);
      await example.start(join('examples', file));
      await point(example);
    });

  it('every example has a test and is in the README', () => {
    const files = globSync('examples/*.corefile').map((file) => basename(file));
    const named = readFileSync('examples/README.md', 'utf8').matchAll(/\]\(([\w-]+\.corefile)\)/g);
    assert.deepEqual(files.toSorted(), Object.keys(POINTS).toSorted());
    assert.deepEqual(Array.from(named, ([, file]) => file).toSorted(), files.toSorted());
  });
});
