/** `forward` to a host name, on real sockets: the built agent, a resolver that knows the name, two servers it names. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode, encode } from 'dns-packet';
import { askOnce } from '../../support/clients/ask-once.ts';
import { endProcess } from '../../support/end-process.ts';
import { freePort } from '../../support/free-port.ts';
import { eventually } from '../../support/netns/netns.ts';

const MAIN = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'nodens-names-'));
const sockets: Socket[] = [];
const asked = { resolver: [] as string[] };
let agent: ChildProcess | undefined;
let port = 0;
/** The resolver's addresses of the upstream's name; undefined: SERVFAIL. */
let address: string | undefined;

interface Question {
  readonly name: string;
  readonly type: string;
}

/** A server on `host`:`at` that answers A questions with the results of `answerOf`. */
async function serve(
  host: string,
  at: number,
  answerOf: (question: Question) => string | undefined,
): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) => {
    const query = decode(message);
    const [question] = query.questions ?? [];
    if (question === undefined) return;
    const data = answerOf({ name: question.name, type: question.type });
    const isAddress = question.type === 'A' && data !== undefined;
    const answers = isAddress ? [{ type: 'A' as const, name: question.name, ttl: 1, data }] : [];
    const rcode = data === undefined ? 2 : 0;
    const reply = {
      type: 'response' as const,
      id: query.id,
      flags: 0x80 | rcode,
      questions: [question],
    };
    socket.send(encode({ ...reply, answers }), peer.port, peer.address);
  });
  socket.bind(at, host);
  await once(socket, 'listening');
  sockets.push(socket);
}

/** The address that the agent returns for `name`; its rcode where there is none. */
async function ask(name: string): Promise<string> {
  const { answers = [], rcode } = await askOnce({ name, type: 'A', port });
  const found = answers.find(({ type }) => type === 'A');
  return found !== undefined && 'data' in found ? String(found.data) : rcode;
}

/** Asks for new names until the answer is `expected`. */
async function answers(expected: string): Promise<void> {
  const end = performance.now() + 20_000;
  let last = '';
  for (let round = 0; performance.now() < end; round++) {
    last = await ask(`n${round}.${expected.replaceAll(/[. ]/g, '-')}.test`);
    if (last === expected) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${last} instead of ${expected}`);
}

before(async () => {
  const upstreamPort = await freePort();
  const resolverPort = await freePort();
  port = await freePort();
  await serve('127.0.0.31', upstreamPort, () => '192.0.2.31');
  await serve('127.0.0.32', upstreamPort, () => '192.0.2.32');
  await serve('127.0.0.33', resolverPort, ({ name, type }) => {
    // If the answer improves between the query with EDNS and the one without, the agent sends a query of its own.
    if (name !== '.') asked.resolver.push(`${name} ${type}`);
    return address;
  });
  const conf = join(folder, 'Corefile');
  writeFileSync(
    conf,
    `.:${port} {\nbind 127.0.0.1\nerrors\n` +
      `forward . up.corp.test:${upstreamPort} {\nresolver 127.0.0.33:${resolverPort}\nmax_fails 0\n}\n}\n`,
  );
  agent = spawn(process.execPath, [MAIN, 'agent', '-conf', conf, '-basecorefile='], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let log = '';
  agent.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  await eventually('the agent serves', () => log.includes('"serving"'));
});

after(async () => {
  await endProcess(agent);
  for (const socket of sockets) socket.close();
  rmSync(folder, { recursive: true });
});

it('starts without addresses, follows the name, and keeps them while look-ups fail', async () => {
  await answers('SERVFAIL');
  address = '127.0.0.31';
  await answers('192.0.2.31');
  address = '127.0.0.32';
  await answers('192.0.2.32');
  address = undefined;
  const seen = asked.resolver.length;
  while (asked.resolver.length < seen + 2) await answers('192.0.2.32');
  await answers('192.0.2.32');
  assert.deepEqual([...new Set(asked.resolver)].sort(), ['up.corp.test A', 'up.corp.test AAAA']);
});
