/** The program itself at its edges: asked to go before it serves, and on a command line without set-up. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, it } from 'node:test';
import { freePort } from '../../support/free-port.ts';
import { startServer } from '../../support/upstream/server.ts';

const MAIN = new URL('../../../dist/agent/main.js', import.meta.url).pathname;

const folder = mkdtempSync(join(tmpdir(), 'nodens-serve-'));
after(() => rmSync(folder, { recursive: true }));

async function corefileFor(upstreamPort: number): Promise<string> {
  const path = join(folder, `Corefile.${upstreamPort}`);
  const zone = `.:${await freePort()}`;
  writeFileSync(path, `${zone} {\nbind 127.0.0.1\nforward . 127.0.0.1:${upstreamPort}\n}\n`);
  return path;
}

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Every line of both outputs up to and with the first that matches. */
async function linesUntil(child: ChildProcess, pattern: RegExp): Promise<string[]> {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (pattern.test(line)) child.emit('found');
    });
  }
  await Promise.race([once(child, 'found'), once(child, 'exit')]);
  return lines;
}

it('asked to go while it waits for an address, it stops without an error', async () => {
  const conf = join(folder, 'Corefile.absent');
  writeFileSync(conf, `.:${await freePort()} {\nbind 192.0.2.77\nwhoami\n}\n`);
  const child = start('agent', '-conf', conf, '-basecorefile=');
  const lines = await linesUntil(child, /startup: waiting/);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 0, lines.join('\n'));
  assert.deepEqual(
    lines.filter((line) => line.includes('"level":"error"')),
    [],
  );
  assert.equal(lines.filter((line) => line.includes('"stopped"')).length, 1);
});

it('ends at once where the variable of the upstream Service is missing', async () => {
  const base = join(folder, 'Corefile.base');
  writeFileSync(base, '.:53 {\nforward . __PILLAR__CLUSTER__DNS__\n}\n');
  const child = start('agent', '-basecorefile', base, '-upstreamsvc', 'none-of-that-name');
  const lines = await linesUntil(child, /"level":"error"|startup: waiting/);
  const [code] = child.exitCode === null ? await once(child, 'close') : [child.exitCode];
  assert.equal(code, 1, lines.join('\n'));
  assert.match(
    lines.join('\n'),
    /Corefile\.base:2: the address of Service none-of-that-name is unknown: NONE_OF_THAT_NAME_SERVICE_HOST .*create the Service/,
  );
});

it('SIGQUIT ends it at once with 0, a second SIGTERM with 2', async () => {
  for (const [signals, expected] of [
    [['SIGQUIT'], 0],
    [['SIGTERM', 'SIGTERM'], 2],
  ] as const) {
    const conf = join(folder, `Corefile.${expected}`);
    const lameduck = `health 127.0.0.1:${await freePort()} {\nlameduck 30s\n}`;
    writeFileSync(conf, `.:${await freePort()} {\nbind 127.0.0.1\n${lameduck}\nwhoami\n}\n`);
    const child = start('agent', '-conf', conf, '-basecorefile=');
    const closed = once(child, 'close');
    await linesUntil(child, /"serving"/);
    for (const signal of signals) {
      child.kill(signal);
      if (expected === 2) await linesUntil(child, /"stopping"/);
    }
    const [code] = (await closed) as [number | null];
    assert.equal(code, expected, signals.join(' '));
  }
});

it('without set-up a flag of init that makes no sense is still refused', async () => {
  const noSetup = ['-setupinterface=false', '-setupiptables=false'];
  for (const flag of ['-syncinterval=often', '-syncinterval=1ms', '-health-port=http']) {
    const child = start('-localip', '127.0.0.1', flag, ...noSetup);
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 2, flag);
  }
});

it('without set-up it serves at once, whether or not an upstream answers: no init is waited for', async () => {
  const silent = await startServer(() => {});
  const conf = await corefileFor(silent.port);
  const noSetup = ['-setupinterface=false', '-setupiptables=false', '-metrics-listen-address='];
  const child = start('-localip', '127.0.0.1', '-conf', conf, '-basecorefile=', ...noSetup);
  const closed = once(child, 'close');
  const lines = await linesUntil(child, /"serving"|self-test/);
  child.kill('SIGTERM');
  await closed;
  await silent.close();
  assert.ok(
    lines.some((line) => line.includes('"serving"')),
    lines.join('\n'),
  );
  assert.deepEqual(
    lines.filter((line) => /self-test|interception/.test(line)),
    [],
  );
});
