/** nodens as built with an admin socket, on loopback, and the commands that ask it, as an operator runs them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildQuery, buildResponse } from '../../agent/dns/build.ts';
import { frame } from '../../agent/dns/frame.ts';
import { FLAG, idOf, putU16 } from '../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../agent/dns/name.ts';
import { recordFromText } from '../../agent/dns/text/record.ts';
import { endProcess } from './end-process.ts';
import { freePort } from './free-port.ts';
import { ask } from './hostile/pod/neighbour.ts';
import { eventually } from './netns/netns.ts';
import { overUdp } from './server/subject.ts';
import { type Asked, type FakeServer, startServer } from './upstream/server.ts';

const MAIN = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Answers in presentation format by lower-case `NAME TYPE`; names below `gone.test.` do not exist. */
export class StandIn {
  readonly records = new Map<string, readonly string[]>([
    ['neighbour.test. A', ['neighbour.test. 60 IN A 192.0.2.1']],
  ]);
  /** Questions of clients as `NAME TYPE`, in order. */
  readonly asked: string[] = [];
  /** Time before each answer, milliseconds. */
  delayMs = 0;

  readonly script = (asked: Asked): void => {
    const { head, message } = asked;
    const name = head.name.slice(0, head.nameLength);
    const text = nameToText(name);
    const [type = ''] = Object.entries(TYPE).find(([, number]) => number === head.type) ?? [];
    // Probes of health ask for the root.
    if (text !== '.') this.asked.push(`${text} ${type}`);
    if (text.startsWith('silent.')) return;
    const answer = (this.records.get(`${text} ${type}`) ?? []).map((line) => {
      const { name: owner, type: own, ttlSeconds, rdata } = recordFromText(line);
      return { name: owner, type: own, ttlSeconds, rdata };
    });
    const soa = recordFromText('test. 60 IN SOA ns.test. root.test. 1 2 3 4 60');
    const isGone = text.endsWith('gone.test.');
    const wire = buildResponse(
      { name, type: head.type, class: head.class },
      {
        rcode: text.startsWith('broken.') ? RCODE.SERVFAIL : isGone ? RCODE.NXDOMAIN : 0,
        flags: FLAG.RA | FLAG.RD,
        answer,
        authority: answer.length > 0 ? [] : [soa],
      },
    );
    putU16(wire, 0, idOf(message));
    const send = (): void => asked.raw(asked.transport === 'tcp' ? frame(wire) : wire);
    if (this.delayMs === 0) send();
    else setTimeout(send, this.delayMs);
  };
}

export interface OperatedOptions {
  /** Lines of the `cache` directive's body. */
  readonly cache?: string;
  /** More directives of the block. */
  readonly more?: string;
  readonly args?: readonly string[];
  /** False where it cannot open its admin socket. */
  readonly hasSocket?: boolean;
}

/** An agent in its own folder, which outlives its restarts. */
export class OperatedAgent {
  readonly folder = mkdtempSync(join(tmpdir(), 'nodens-operator-'));
  readonly socket = join(this.folder, 'admin.sock');
  readonly snapshot = join(this.folder, 'cache.snapshot');
  readonly conf = join(this.folder, 'Corefile');
  readonly upstream = new StandIn();
  /** The built program. */
  readonly main = MAIN;
  readonly #options: OperatedOptions;
  #port = 0;
  #server: FakeServer | undefined;
  #child: ChildProcess | undefined;
  #log = '';

  constructor(options: OperatedOptions = {}) {
    this.#options = options;
  }

  get port(): number {
    return this.#port;
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#child?.pid as number;
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const { cache = '', more = '', args = [] } = this.#options;
    this.#server ??= await startServer(this.upstream.script);
    this.#port ||= await freePort();
    const block = `.:${this.#port} {
  bind 127.0.0.1
  errors
  prometheus 127.0.0.1:${await freePort()}
  cache {
    ${cache}
  }
  ${more}
  forward . 127.0.0.1:${this.#server.port}
}
`;
    writeFileSync(this.conf, block);
    const own = ['-admin-socket', this.socket, '-snapshot', this.snapshot];
    const argv = [MAIN, 'agent', '-conf', this.conf, '-basecorefile=', ...own, ...args];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#log += chunk;
    });
    await eventually('the agent answers', async () => (await ask(this.#port)) !== undefined);
    if (this.#options.hasSocket === false) return;
    await eventually('its socket is there', () =>
      Promise.resolve(this.#log.includes('admin socket open')),
    );
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#log = '';
    await endProcess(child, signal);
  }

  /** Ends everything. */
  async remove(): Promise<void> {
    await this.end();
    await this.#server?.close();
    rmSync(this.folder, { recursive: true });
  }

  /** Asks over UDP; rejects without an answer. */
  async query(name: string, type: number): Promise<Buffer> {
    const question = { name: nameFromText(name), type, class: CLASS.IN, id: 7 };
    const head = { flags: FLAG.RD, dnssecOk: false, udpSizeBytes: undefined };
    const wire = buildQuery({ ...question, ...head });
    const reply = await overUdp({ host: '127.0.0.1', port: this.#port }, wire, 5_000);
    if (reply === undefined) throw new Error(`no answer for ${name}`);
    return reply;
  }

  /** Runs a command as `nodens …` beside the agent. */
  run(...args: readonly string[]): Promise<Outcome> {
    return runNodens(args, { NODENS_ADMIN_SOCKET: this.socket });
  }

  /** The JSON lines that a command prints. */
  async json(...args: readonly string[]): Promise<Record<string, unknown>[]> {
    const { out, err } = await this.run(...args, '-json');
    if (err !== '') throw new Error(err);
    const lines = out.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

/** Runs `nodens …` as built. */
export function runNodens(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: 60_000 };
    execFile(process.execPath, [MAIN, ...args], options, (error, out, err) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      resolve({ code, out, err });
    });
  });
}
