/** The parts of a bug report. Each is a text, or the reason why it is missing. */
import { execFile } from 'node:child_process';
import { get } from 'node:http';
import { hostname, release } from 'node:os';
import { messageOf } from '../../base/errors.ts';
import type { AdminRequest } from '../../operator/protocol.ts';
import { ask, askOnce } from '../commands/asking.ts';
import { firstProcess, isInitAlone } from '../running-agent.ts';
import { VERSION } from '../version.ts';

/** Where the parts are found. */
export interface Sources {
  /** Paths of the admin socket. */
  readonly sockets: readonly string[];
  /** `ADDR:PORT` of /metrics. */
  readonly metrics: string;
  /** RFC 3339. */
  readonly time: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * A file of the report: what it has, and how it is made. Rejects if it cannot be. Those of the agent come from its socket
 * and its container's files, which the init container does not have.
 */
export interface Part {
  readonly path: string;
  readonly isOfAgent?: true;
  readonly text: (sources: Sources) => Promise<string>;
}

/** Commands of nodens that run beside the agent: small, because their memory counts against its container's limit. */
const SMALL_HEAP = ['--max-old-space-size=64', '--max-semi-space-size=1'];
const CHILD_MS = 60_000;
const HTTP_MS = 10_000;
const MAX_BYTES = 32 * 1024 * 1024;
const SHOWN_ENV =
  /^(NODENS_|KUBE_DNS|KUBERNETES_SERVICE_|NODE_NAME$|NODE_OPTIONS$|CLUSTER_DOMAIN$)/;

/** In this order; one after the other, so that at most one child runs. */
const PARTS: readonly Part[] = [
  { path: 'versions.json', text: versions },
  { path: 'command-line.txt', text: () => Promise.resolve(commandLine()) },
  { path: 'environment.txt', text: ({ env }) => Promise.resolve(environment(env)) },
  {
    path: 'status.json',
    isOfAgent: true,
    text: (sources) => one(sources, { command: 'status' }, 'status'),
  },
  {
    path: 'cache.json',
    isOfAgent: true,
    text: (sources) => one(sources, { command: 'cache-stats' }, 'cache-stats'),
  },
  { path: 'log.txt', isOfAgent: true, text: recentLog },
  { path: 'metrics.txt', text: ({ metrics }) => page(`http://${metrics}/metrics`) },
  { path: 'configuration.txt', isOfAgent: true, text: () => ownCommand('check') },
  { path: 'doctor.json', text: () => ownCommand('doctor', '--json') },
];

/** What can be found in the container whose first process is `words`. */
export function partsBeside(words: readonly string[]): readonly Part[] {
  return isInitAlone(words) ? PARTS.filter(({ isOfAgent }) => isOfAgent === undefined) : PARTS;
}

function versions({ time }: Sources): Promise<string> {
  const { versions: own, arch } = process;
  const system = { kernel: release(), arch, hostname: hostname(), uid: process.getuid?.() };
  return Promise.resolve(json({ time, nodens: VERSION, node: own.node, v8: own.v8, ...system }));
}

/** Of the container's first process: the agent, or init of a drop-in. */
function commandLine(): string {
  return `${firstProcess().join('\n')}\n`;
}

function environment(env: Sources['env']): string {
  const shown = Object.entries(env).filter(([name]) => SHOWN_ENV.test(name));
  return shown.map(([name, value = '']) => `${name}=${value}\n`).join('');
}

async function one(
  { sockets }: Sources,
  request: AdminRequest,
  line: 'status' | 'cache-stats',
): Promise<string> {
  return json(await askOnce(request, sockets, line));
}

async function recentLog({ sockets }: Sources): Promise<string> {
  let text = '';
  for await (const line of ask({ command: 'log' }, sockets))
    if (line.line === 'log') text += `${line.text}\n`;
  return text;
}

function page(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: HTTP_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_BYTES) request.destroy(new Error('the page is too long'));
      });
      response.on('error', reject).on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${HTTP_MS} ms`)));
    request.on('error', (error) => reject(new Error(`${url}: ${messageOf(error)}`)));
  });
}

/** Output and errors of another command of nodens, whatever its exit code. Rejects if it says nothing. */
function ownCommand(...args: readonly string[]): Promise<string> {
  const argv = [...SMALL_HEAP, process.argv[1] as string, ...args];
  return new Promise((resolve, reject) => {
    const options = { timeout: CHILD_MS, maxBuffer: MAX_BYTES };
    execFile(process.execPath, argv, options, (error, out, err) => {
      // Half of an output says nothing for sure, and is not cut to what may leave the node.
      const isCut = error?.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER' || error?.killed === true;
      if (error !== null && (out === '' || isCut)) reject(new Error(err.trim() || error.message));
      else resolve(args.includes('--json') ? out : `${out}${err}`);
    });
  });
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
