/** Asks the running agent over its admin socket. */
import { connect, type Socket } from 'node:net';
import { systemClock } from '../../base/clock.ts';
import { errnoOf, NodensError, UsageError } from '../../base/errors.ts';
import type { AdminLine, AdminRequest } from '../../operator/protocol.ts';

/** Thrown if no agent can be asked: exit code 3. */
export class UnreachableError extends NodensError {
  constructor(message: string) {
    super('NODENS_UNREACHABLE', message);
  }
}

/** A line longer than this is not the agent's: the longest has a message of 64 KiB in base64. */
const MAX_LINE_CHARS = 1024 * 1024;
/** An agent that hangs still has a socket, which takes connections. Longer than any question of `query` waits for upstreams. */
const SILENCE_MS = 15_000;

/**
 * The lines of the agent's answer. Uses the first of `paths` at which an agent answers. Throws UnreachableError if there
 * is none, or if it ends in the middle; UsageError if the agent refuses the request; NodensError for its other errors.
 * `signal` ends the answer early. An agent that sends nothing for `silenceMs` while it is waited for counts as none; 0: never.
 */
export async function* ask(
  request: AdminRequest,
  paths: readonly string[],
  signal?: AbortSignal,
  silenceMs = silenceOf(request),
): AsyncGenerator<AdminLine> {
  const socket = await reach(paths);
  let isSilent = false;
  const silence = {
    ms: silenceMs,
    end: () => {
      isSilent = true;
      socket.destroy();
    },
  };
  const hasEnded = (): boolean => signal?.aborted === true;
  signal?.addEventListener('abort', () => socket.destroy());
  try {
    // A signal that aborted while the socket connected fires no event any more.
    if (hasEnded()) return;
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of linesOf(socket, silence)) {
      if (line.line === 'end') return;
      if (line.line === 'error') throw refusal(line);
      yield line;
    }
    if (hasEnded()) return;
    if (isSilent) throw new UnreachableError(silenceText(silenceMs));
    throw new UnreachableError('the agent ended the connection in the middle of its answer');
  } finally {
    socket.destroy();
  }
}

/** Queries may be a long time away from each other; pictures of top come at their interval. */
function silenceOf(request: AdminRequest): number {
  if (request.command === 'observe') return 0;
  return SILENCE_MS + (request.command === 'top' ? request.intervalMs : 0);
}

function silenceText(silenceMs: number): string {
  return (
    `the agent has taken the connection, and sent nothing for ${silenceMs / 1_000} s: it hangs, or gets no CPU. ` +
    'Run nodens doctor in the init container'
  );
}

/** The only line of an answer that has one. */
export async function askOnce<Kind extends AdminLine['line']>(
  request: AdminRequest,
  paths: readonly string[],
  kind: Kind,
): Promise<Extract<AdminLine, { readonly line: Kind }>> {
  for await (const line of ask(request, paths))
    if (line.line === kind) return line as Extract<AdminLine, { readonly line: Kind }>;
  throw new UnreachableError(`the agent sent no line "${kind}"`);
}

function refusal({ message, isUsage }: { message: string; isUsage: boolean }): NodensError {
  return isUsage ? new UsageError(message) : new NodensError('NODENS_REFUSED', message);
}

async function reach(paths: readonly string[]): Promise<Socket> {
  const failures: string[] = [];
  for (const path of paths) {
    const found = await connected(path);
    if (typeof found !== 'string') return found;
    failures.push(`${path}: ${found}`);
  }
  const tried = failures.join('; ') || 'there is no path, because -admin-socket is empty';
  throw new UnreachableError(
    `no agent answers (${tried}). Run this in the agent's container and as its user or root, ` +
      'or name the socket with -admin-socket or NODENS_ADMIN_SOCKET',
  );
}

/** The connection, or why there is none. */
function connected(path: string): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('error', (error) => resolve(explained(errnoOf(error))));
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      // A broken connection ends the lines.
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

function explained(errno: string): string {
  if (errno === 'ENOENT') return 'no socket there';
  if (errno === 'ECONNREFUSED') return 'the agent is dead';
  if (errno === 'EAGAIN') return 'the agent takes no connections: it hangs';
  if (errno === 'EACCES') return 'not allowed for this user';
  return errno;
}

/** What happens when nothing comes for so long; 0: nothing. */
interface Silence {
  readonly ms: number;
  readonly end: () => void;
}

async function* linesOf(socket: Socket, silence: Silence): AsyncGenerator<AdminLine> {
  socket.setEncoding('utf8');
  let rest = '';
  for await (const chunk of chunksOf(socket, silence)) {
    rest += chunk;
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      yield JSON.parse(line) as AdminLine;
    }
    if (rest.length > MAX_LINE_CHARS) throw new NodensError('NODENS_PROTOCOL', 'no agent answers');
  }
}

/** Ends without an error where the connection breaks or is destroyed. */
async function* chunksOf(socket: Socket, { ms, end }: Silence): AsyncGenerator<string> {
  const chunks = socket[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Only while it is waited for: behind a pager, text may lie unread for minutes.
      const timer = ms === 0 ? undefined : systemClock.after(ms, end);
      const { value, done } = await chunks.next();
      timer?.cancel();
      if (done === true) return;
      yield String(value);
    }
  } catch (error) {
    if (errnoOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE' && errnoOf(error) !== 'ECONNRESET')
      throw error;
  }
}
