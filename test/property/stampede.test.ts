/**
 * A name that has just become popular: thousands of clients miss it while its upstream is slow. The agent sends one
 * upstream query, and its reply answers all of them.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { decode, encode, streamEncode } from 'dns-packet';
import { freePort } from '../support/free-port.ts';

const MAIN = new URL('../../dist/agent/main.js', import.meta.url).pathname;
const NAME = 'popular.example.org';
/** TCP loses no datagram: a client without a response was not answered. */
const CONNECTIONS = 20;
const QUERIES_EACH = 250;
const UPSTREAM_MS = 500;
const PATIENCE_MS = 10_000;
const CONNECT_TRIES = 200;
const CONNECT_EVERY_MS = 25;

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Answers after `UPSTREAM_MS`; the result has the number of queries for the name. */
async function slowUpstream(): Promise<{ socket: Socket; asked: () => number }> {
  const socket = createSocket('udp4');
  let asked = 0;
  let isOpen = true;
  socket.on('close', () => {
    isOpen = false;
  });
  socket.on('message', (wire, { port, address }) => {
    const { id = 0, questions = [] } = decode(wire);
    const name = questions[0]?.name ?? '';
    if (name === NAME) asked++;
    const answers = [{ type: 'A' as const, name, ttl: 60, data: '192.0.2.1' }];
    const reply = encode({ type: 'response', id, questions, answers });
    setTimeout(() => {
      if (isOpen) socket.send(reply, port, address);
    }, UPSTREAM_MS);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { socket, asked: () => asked };
}

async function listens(port: number): Promise<void> {
  for (let tries = 0; tries < CONNECT_TRIES; tries++) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await pause(CONNECT_EVERY_MS);
  }
  assert.fail('the agent does not serve');
}

/** Asks `QUERIES_EACH` times on one connection; resolves to the IDs of the answers that hold the address. */
async function client(port: number): Promise<Set<number>> {
  const socket = connect(port, '127.0.0.1');
  const questions = [{ type: 'A' as const, name: NAME, class: 'IN' as const }];
  for (let id = 0; id < QUERIES_EACH; id++) {
    socket.write(streamEncode({ type: 'query', id, flags: 0x100, questions }));
  }
  const answered = new Set<number>();
  let rest = Buffer.alloc(0);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  while (answered.size < QUERIES_EACH) {
    const [chunk] = (await once(socket, 'data', { signal })) as [Buffer];
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const end = 2 + rest.readUInt16BE();
      const { id = -1, answers = [] } = decode(rest.subarray(2, end));
      if (answers.length === 1) answered.add(id);
      rest = rest.subarray(end);
    }
  }
  socket.destroy();
  return answered;
}

it('5,000 clients that miss one name cost one upstream query and are all answered', async () => {
  assert.ok(existsSync(MAIN), 'dist/ is missing: npm run build');
  const folder = mkdtempSync(join(tmpdir(), 'nodens-stampede-'));
  const { socket, asked } = await slowUpstream();
  const port = await freePort();
  const corefile = join(folder, 'Corefile');
  writeFileSync(
    corefile,
    `.:${port} {\n bind 127.0.0.1\n cache\n forward . 127.0.0.1:${socket.address().port} {\n  prefer_udp\n }\n}\n`,
  );
  const agent = spawn(process.execPath, [MAIN, 'agent', '-conf', corefile, '-basecorefile='], {
    stdio: 'ignore',
  });
  try {
    await listens(port);
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => client(port)));
    const answers = clients.reduce((sum, ids) => sum + ids.size, 0);
    assert.equal(answers, CONNECTIONS * QUERIES_EACH);
    assert.equal(asked(), 1);
  } finally {
    agent.kill('SIGKILL');
    socket.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
