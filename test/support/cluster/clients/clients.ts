/** Clients that are not dig: the C libraries' resolvers, and one socket for many queries. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Netns } from '../netns.ts';
import { must } from '../process/run.ts';
import { until } from '../process/wait.ts';

const SOURCES = new URL('../../clients/', import.meta.url).pathname;

/** Addresses that glibc finds, through the system's own `getent`; sorted, none where the name does not resolve. */
export async function glibcLookup(from: Netns, name: string): Promise<string[]> {
  return addressColumn((await from.run(['getent', 'ahosts', name])).stdout);
}

/** Compiles the static musl client into `runDir` and returns its path. */
export async function buildMuslClient(runDir: string): Promise<string> {
  const program = `${runDir}/gai-musl`;
  await must(['musl-gcc', '-static', '-O1', '-Wall', '-o', program, `${SOURCES}gai.c`]);
  return program;
}

/** The same program with glibc. */
export async function buildGlibcClient(runDir: string): Promise<string> {
  const program = `${runDir}/gai-glibc`;
  await must(['gcc', '-O1', '-Wall', '-o', program, `${SOURCES}gai.c`]);
  return program;
}

/** Mounts the file in $1 over /etc/resolv.conf, for this process alone, and looks names up with the program in $2. */
const WITH_RESOLV_CONF = 'mount --bind "$1" /etc/resolv.conf; exec "$2" -';

/** Processes that share the names of one run: most of a lookup's time is spent waiting. */
const AT_ONCE = 8;

/**
 * Looks `names` up with a built client, in processes with a resolv.conf of their own. A line for each name, in order:
 * the name, and its addresses, sorted, or the reason why there are none.
 */
export async function lookUpAll(
  from: Netns,
  program: string,
  resolvConf: string,
  names: readonly string[],
): Promise<string[]> {
  const script = ['unshare', '-m', 'sh', '-ec', WITH_RESOLV_CONF, 'sh', resolvConf, program];
  const size = Math.ceil(names.length / AT_ONCE);
  const parts = Array.from({ length: Math.ceil(names.length / size) }, (_, i) =>
    names.slice(i * size, (i + 1) * size),
  );
  const outputs = await Promise.all(
    parts.map((part) => from.must(script, { input: `${part.join('\n')}\n`, timeoutMs: 240_000 })),
  );
  return outputs
    .flatMap((output) => output.split('\n'))
    .filter(Boolean)
    .map(sortedLine);
}

function sortedLine(line: string): string {
  const [name = '', ...rest] = line.split(' ');
  // A reason is a sentence: only addresses have a dot between digits or a colon.
  const isFound = rest.every((word) => /^[\d.]+$|^[\da-f:]+$/.test(word));
  return [name, ...(isFound ? [...new Set(rest)].sort() : rest)].join(' ');
}

/** As `glibcLookup`, through musl's resolver. */
export async function muslLookup(from: Netns, program: string, name: string): Promise<string[]> {
  return addressColumn((await from.run([program, name])).stdout);
}

function addressColumn(text: string): string[] {
  const addresses = text.split('\n').map((line) => line.split(/\s+/)[0] ?? '');
  return [...new Set(addresses.filter(Boolean))].sort();
}

/** A client in `from` that sends all its queries to `server` from one UDP socket. */
export class OneSocketClient {
  readonly #child: ChildProcess;
  readonly #responses = new Map<number, string>();
  #sent = 0;

  constructor(from: Pick<Netns, 'argv'>, server: string) {
    const [file = '', ...args] = from.argv(process.execPath, `${SOURCES}one-socket.ts`, server);
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('one-socket client without standard output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const [id = '', ...rest] = line.split(' ');
      this.#responses.set(Number(id), rest.join(' '));
    });
  }

  /** Sends a query for the A record of `name`; returns its number. */
  send(name: string): number {
    this.#child.stdin?.write(`${name}\n`);
    this.#sent += 1;
    return this.#sent;
  }

  /** `RCODE ADDRESS...` of query `id`, once it has been answered. */
  response(id: number): string | undefined {
    return this.#responses.get(id);
  }

  /** Sends and waits: the response, or undefined where none arrived in time. */
  async ask(name: string, budgetMs = 1_500): Promise<string | undefined> {
    const id = this.send(name);
    return until(`a response for ${name}`, () => this.response(id), budgetMs).catch(
      () => undefined,
    );
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => {
      this.#child.once('exit', resolve);
    });
    if (this.#child.exitCode !== null) return;
    this.#child.stdin?.end();
    await ended;
  }
}
