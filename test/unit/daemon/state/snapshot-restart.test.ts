/** The program itself, killed and restarted in an outage: it answers from its snapshot. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { buildQuery } from '../../../../agent/dns/build.ts';
import { ancountOf, FLAG, flagsOf, RCODE_MASK } from '../../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { endProcess } from '../../../support/end-process.ts';
import { freePort } from '../../../support/free-port.ts';
import { startServer } from '../../../support/upstream/server.ts';

const MAIN = new URL('../../../../dist/agent/main.js', import.meta.url).pathname;
/** Tries until the program answers, with this pause between them. */
const ATTEMPTS = 100;
const ATTEMPT_MS = 100;

function ask(port: number, name: string): Promise<Buffer | undefined> {
  const wire = buildQuery({
    name: nameFromText(name),
    type: TYPE.A,
    class: CLASS.IN,
    id: 1,
    flags: FLAG.RD,
    dnssecOk: false,
    udpSizeBytes: undefined,
  });
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const done = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => done(undefined), ATTEMPT_MS);
    socket.once('message', done);
    // No server listens yet: the pause is the timer's.
    socket.once('error', () => {});
    socket.connect(port, '127.0.0.1', () => socket.send(wire));
  });
}

/** The first answer to `name` from the program. */
async function answerOf(port: number, name: string): Promise<Buffer> {
  for (let left = ATTEMPTS; left > 0; left--) {
    const answer = await ask(port, name);
    if (answer !== undefined) return answer;
  }
  throw new Error('the program does not answer');
}

it('a restart in an outage finds the names that were cached', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-restart-'));
  const upstream = await startServer((asked) => asked.answer({ address: [192, 0, 2, 7] }));
  const port = await freePort();
  const corefile = join(folder, 'Corefile');
  writeFileSync(
    corefile,
    `.:${port} {\nbind 127.0.0.1\ncache\nforward . 127.0.0.1:${upstream.port}\n}\n`,
  );
  const start = (): ChildProcess => {
    const snapshot = join(folder, 'cache.snapshot');
    const args = [MAIN, 'agent', '-conf', corefile, '-snapshot', snapshot, '-quiet'];
    return spawn(process.execPath, args, { stdio: 'ignore' });
  };
  let child = start();
  try {
    const first = await answerOf(port, 'www.example.org.');
    assert.equal(ancountOf(first), 1);
    await endProcess(child);
    await upstream.close();
    assert.ok(readdirSync(folder).includes('cache.snapshot'));

    child = start();
    const second = await answerOf(port, 'www.example.org.');
    assert.equal(flagsOf(second) & RCODE_MASK, 0);
    assert.deepEqual([...second.subarray(-4)], [192, 0, 2, 7]);
  } finally {
    await endProcess(child);
    await upstream.close();
    rmSync(folder, { recursive: true });
  }
});
