/**
 * A ConfigMap that changes all the time, half of the versions invalid, under load: no query is lost, an invalid version changes
 * nothing, and a valid one serves at once. `NODENS_STORM_SECONDS=30` (npm run chaos) makes the storm longer.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { sleep, systemClock } from '../../agent/base/clock.ts';
import { freePort } from '../support/free-port.ts';
import { queryWire } from '../support/server/fixture.ts';

const STORM_MS = Number(process.env.NODENS_STORM_SECONDS ?? 3) * 1_000;
const CHANGE_MS = 50;
const QUERY_MS = 4;
/** About 5,000 queries a second in the long storm. */
const QUERIES_AT_ONCE = STORM_MS > 10_000 ? 32 : 8;
const PATIENCE_MS = 5_000;
const MAIN = new URL('../../dist/agent/main.js', import.meta.url).pathname;

const NONSENSE = [
  '. {',
  '. {\n forwrad\n}',
  '. {\n bind 127.0.0.1\n cache {\n nonsense\n }\n}',
  '}',
  'import /nonexistent/file',
];

/** A mounted ConfigMap: `Corefile` leads through `..data`, which is swapped as by the kubelet. */
class ConfigMapVolume {
  readonly dir = mkdtempSync(join(tmpdir(), 'nodens-storm-'));
  readonly file = join(this.dir, 'Corefile');
  readonly hosts = join(this.dir, 'hosts');
  #version = 0;

  put(text: string): void {
    const version = `..v${this.#version++}`;
    mkdirSync(join(this.dir, version));
    writeFileSync(join(this.dir, version, 'Corefile'), text);
    symlinkSync(version, join(this.dir, '..data_tmp'));
    renameSync(join(this.dir, '..data_tmp'), join(this.dir, '..data'));
    if (version === '..v0') symlinkSync('..data/Corefile', this.file);
    else rmSync(join(this.dir, `..v${this.#version - 2}`), { recursive: true });
  }
}

describe('a storm of reloads under load', () => {
  const volume = new ConfigMapVolume();
  let port = 0;
  let adminPort = 0;
  let agent: ChildProcess;
  let client: Socket;
  let said = '';

  /** Answers `mark.example` with 192.0.2.`mark`; every other one has a second zone, another port and a view. */
  const corefile = (mark: number): string => {
    const rest = mark % 2 === 0 ? '' : `b.example:${port} {\n bind 127.0.0.1\n whoami\n}\n`;
    return `.:${port} {
      bind 127.0.0.1
      reload
      cache ${(mark % 7) + 1}
      prometheus 127.0.0.1:${adminPort}
      hosts ${volume.hosts} {
        192.0.2.${mark} mark.example
        ttl 1
        fallthrough
      }
      whoami
    }\n${rest}`;
  };

  const waiting = new Map<number, (message: Buffer) => void>();
  let id = 0;
  const ask = (name: string): Promise<Buffer> => {
    id = (id + 1) % 65_536;
    const own = id;
    return new Promise((resolve, reject) => {
      const timer = systemClock.after(PATIENCE_MS, () => reject(new Error(`lost: ${name}`)));
      waiting.set(own, (message) => {
        timer.cancel();
        waiting.delete(own);
        resolve(message);
      });
      client.send(queryWire(name, own), port, '127.0.0.1');
    });
  };

  const mark = async (): Promise<string> => {
    const [answer] = decode(await ask('mark.example')).answers ?? [];
    return answer?.type === 'A' ? answer.data : 'none';
  };

  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const endMs = systemClock.nowMs() + PATIENCE_MS;
    while (!(await isSo())) {
      assert.ok(
        systemClock.nowMs() < endMs,
        `not within ${PATIENCE_MS} ms: ${what}\n${said.slice(-2_000)}`,
      );
      await sleep(systemClock, 20);
    }
  };

  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (.*)$`, 'm').exec(text)?.[1]);
  };

  before(async () => {
    [port, adminPort] = [await freePort(), await freePort()];
    writeFileSync(volume.hosts, '');
    volume.put(corefile(1));
    client = createSocket('udp4').on('message', (message) =>
      waiting.get(message.readUInt16BE(0))?.(message),
    );
    const argv = [MAIN, 'agent', '-conf', volume.file, '-basecorefile', '/nonexistent'];
    agent = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [agent.stdout, agent.stderr])
      stream?.on('data', (chunk) => {
        said = (said + String(chunk)).slice(-100_000);
      });
    await until('serving', async () => said.includes('"serving"') || agent.exitCode !== null);
    assert.equal(agent.exitCode, null, said);
  });

  after(async () => {
    agent.kill('SIGTERM');
    if (agent.exitCode === null) await once(agent, 'exit');
    client.close();
    rmSync(volume.dir, { recursive: true });
  });

  it('loses no query, and serves the last valid configuration', async () => {
    let isOver = false;
    const load = async (): Promise<number> => {
      let asked = 0;
      for (; !isOver; asked++) {
        await ask(asked % 3 === 0 ? 'mark.example' : `n${asked % 50}.example`);
        await sleep(systemClock, QUERY_MS);
      }
      return asked;
    };
    const loads = Array.from({ length: QUERIES_AT_ONCE }, load);
    const endMs = systemClock.nowMs() + STORM_MS;
    let changes = 0;
    for (; systemClock.nowMs() < endMs; changes++) {
      const isNonsense = changes % 2 === 1;
      volume.put(
        isNonsense
          ? (NONSENSE[(changes >> 1) % NONSENSE.length] as string)
          : corefile(changes % 250),
      );
      if (changes % 3 === 0) agent.kill('SIGHUP');
      if (changes % 3 === 1) agent.kill('SIGUSR1');
      await sleep(systemClock, CHANGE_MS);
    }
    volume.put(corefile(251));
    agent.kill('SIGHUP');
    await until('the last configuration', async () => (await mark()) === '192.0.2.251');
    isOver = true;
    const asked = (await Promise.all(loads)).reduce((sum, count) => sum + count, 0);
    process.stdout.write(`# ${asked} queries, ${changes} changes in ${STORM_MS / 1_000} s\n`);
    assert.ok(asked > 100 && changes > 10, `${asked} queries, ${changes} changes`);
    await until('a valid one', async () => (await metric('nodens_config_valid')) === 1);
    assert.ok((await metric('coredns_reload_failed_total')) > 0);
    assert.equal(await metric('coredns_panics_total'), 0);
  });

  it('a ConfigMap swap is noticed at once, without any signal', async () => {
    volume.put(corefile(252));
    await until('the new configuration', async () => (await mark()) === '192.0.2.252');
  });

  it('an invalid Corefile changes nothing, is counted, and is logged with its place', async () => {
    const failed = await metric('coredns_reload_failed_total');
    volume.put('. {\n  bind 127.0.0.1\n  forwrad . 192.0.2.1\n}\n');
    await until('the refusal', async () => (await metric('nodens_config_valid')) === 0);
    await until('the count', async () => (await metric('coredns_reload_failed_total')) > failed);
    await until('the reason', async () => /Corefile:3: unknown directive \\"forwrad\\"/.test(said));
    assert.equal(await mark(), '192.0.2.252');
    volume.put(corefile(253));
    await until('the way back', async () => (await mark()) === '192.0.2.253');
    // A page is up to 250 ms old.
    await until('the end of it', async () => (await metric('nodens_config_valid')) === 1);
  });

  it('a signal applies a Corefile whose files have changed', async () => {
    const success = await metric('nodens_config_reloads_total\\{result="success"\\}');
    agent.kill('SIGUSR1');
    await until(
      'one more reload',
      async () => (await metric('nodens_config_reloads_total\\{result="success"\\}')) > success,
    );
  });
});
