/**
 * Writes the compiled code of the agent's bundle, for `agent/program.ts`. V8 compiles a function when it is called first,
 * so the program runs here as in a start: what ran is in the code, and the rest is compiled when it is needed.
 *
 *     node FLAG … compile-code.js PROGRAM.JS
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { setStartFlags } from './agent/cli/heap.ts';
import { runScript, scriptOf, writeCode } from './agent/program.ts';

type Main = (argv: readonly string[]) => Promise<number>;

const LOOPBACK = '127.0.0.1';
const ASK_EVERY_MS = 50;
/** A builder that emulates another architecture takes long. */
const LIMIT_MS = 120_000;

async function boundSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, LOOPBACK);
  await once(socket, 'listening');
  return socket;
}

/** An upstream that answers every question for an A record; returns its port. */
async function startUpstream(): Promise<number> {
  const socket = await boundSocket();
  socket.on('message', (message, { port }) => {
    const { id = 0, questions = [] } = decode(message);
    const answers = questions.map(({ name }) => ({
      ...({ type: 'A', name, ttl: 60, data: LOOPBACK } as const),
    }));
    socket.send(encode({ type: 'response', id, questions, answers }), port, LOOPBACK);
  });
  return socket.address().port;
}

async function freePort(): Promise<number> {
  const socket = await boundSocket();
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Until an answer arrives, and for another name, so that hits and misses have both run. */
async function ask(port: number): Promise<void> {
  const socket = await boundSocket();
  for (const name of ['one.example.', 'two.example.', 'one.example.']) {
    const questions = [{ type: 'A', name } as const];
    const question = encode({ type: 'query', id: 1, flags: RECURSION_DESIRED, questions });
    const timer = setInterval(() => socket.send(question, port, LOOPBACK), ASK_EVERY_MS);
    await once(socket, 'message', { signal: AbortSignal.timeout(LIMIT_MS) });
    clearInterval(timer);
  }
  socket.close();
}

/** Starts an agent with what every Corefile of the manifests has. */
async function runAgent(main: Main): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-code-'));
  const [port, upstream] = [await freePort(), await startUpstream()];
  const conf = join(folder, 'Corefile');
  writeFileSync(
    conf,
    `.:${port} {
    bind ${LOOPBACK}
    errors
    cache
    loop
    reload
    forward . ${LOOPBACK}:${upstream}
    prometheus ${LOOPBACK}:0
}
`,
  );
  try {
    void main(['agent', '-conf', conf, '-socket', '']);
    await ask(port);
  } finally {
    rmSync(folder, { recursive: true });
  }
  // The agent changed them when it had started.
  setStartFlags();
}

async function compile(path = ''): Promise<void> {
  const script = scriptOf(path, undefined);
  await runAgent((runScript(script, path) as { main: Main }).main);
  writeCode(path, script.createCachedData());
  process.exit(0);
}

compile(...process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`compile-code: ${String(error)}\n`);
  process.exit(1);
});
