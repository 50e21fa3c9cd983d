/** `pprof [ADDR] { block [RATE] }`: profiles of the process over HTTP, in pprof's format. */
import { intArg, listenArg, maxArgs, onlyUse, readOptions } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { AdminResponse } from '../../query/services/admin.ts';
import type { ProfileKind } from '../../query/services/exports.ts';
import type { Services } from '../../query/services/services.ts';

const DEFAULT_ADDRESS = 'localhost:6053';
const ROOT = '/debug/pprof';
const TEXT = 'text/plain; charset=utf-8';
const DEFAULT_CPU_SECONDS = 30;
const DEFAULT_HEAP_SECONDS = 5;
const MAX_SECONDS = 300;

const INDEX: AdminResponse = {
  status: 200,
  contentType: TEXT,
  body:
    `${ROOT}/profile?seconds=N  CPU, ${DEFAULT_CPU_SECONDS} seconds by default\n` +
    `${ROOT}/heap?seconds=N     heap: memory allocated in this time and still in use at its end, ` +
    `${DEFAULT_HEAP_SECONDS} seconds by default\n`,
};

/**
 * Adds `/debug/pprof/profile` and `/debug/pprof/heap`; `seconds` is 1 to 300, else the status is 400. Throws
 * ConfigError for a second use.
 */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  const [token] = maxArgs(line, 1);
  if (token !== undefined) listenArg(token);
  readOptions(line, {
    block: (option) => {
      // A rate of blocking goroutines: accepted, without effect in a process with one thread.
      for (const rate of maxArgs(option, 1)) intArg(rate, { min: 1 });
    },
  });
  const address = token?.text ?? DEFAULT_ADDRESS;
  const { admin } = services;
  for (const path of [ROOT, `${ROOT}/`]) admin.add(address, path, () => INDEX);
  const page = (path: string, kind: ProfileKind, defaultSeconds: number): void =>
    admin.add(address, `${ROOT}/${path}`, (params) =>
      profile(kind, params.get('seconds') ?? String(defaultSeconds), services),
    );
  page('profile', 'cpu', DEFAULT_CPU_SECONDS);
  page('heap', 'heap', DEFAULT_HEAP_SECONDS);
  return { name: 'pprof' };
}

async function profile(
  kind: ProfileKind,
  text: string,
  { exports }: Services,
): Promise<AdminResponse> {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > MAX_SECONDS) {
    const body = `seconds: a whole number from 1 to ${MAX_SECONDS}\n`;
    return { status: 400, contentType: TEXT, body };
  }
  const body = await exports.profile(kind, seconds);
  return { status: 200, contentType: 'application/octet-stream', body };
}
