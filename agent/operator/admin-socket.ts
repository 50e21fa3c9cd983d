/**
 * The socket for `nodens status`, `cache`, `query`, `observe` and `top`: a unix socket that only the agent's user and
 * root can open. Never TCP: who may use it may read every name that the node asks for.
 */
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import { errnoOf, messageOf, UsageError } from '../base/errors.ts';
import type { Logger } from '../query/services/log.ts';
import { AdminConnection, type RequestHandler } from './connection.ts';

/** More commands at the same time have to wait for their turn in the kernel, or are refused. */
const MAX_CONNECTIONS = 16;
/** Of the pod, and of a drop-in. */
const POD_FOLDER = '/run/nodens';
const RETRY_MS = 5_000;
const ONLY_OWNER = 0o600;
const ONLY_OWNER_UMASK = 0o177;

/** `paths`: the first one whose folder the agent can write is used. */
export interface AdminSocketParts {
  readonly paths: readonly string[];
  /** Whether the operator named the path: only then a failure is a warning. */
  readonly isChosen: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly handler: RequestHandler;
}

/** One for the process: `open` once, then `close`. */
export class AdminSocket {
  readonly #parts: AdminSocketParts;
  readonly #connections = new Set<AdminConnection>();
  #server: Server | undefined;
  #path: string | undefined;
  #retry: Timer | undefined;
  #isClosed = false;
  #logged = '';

  constructor(parts: AdminSocketParts) {
    this.#parts = parts;
  }

  /** Where it listens; undefined while it does not. */
  get path(): string | undefined {
    return this.#path;
  }

  /**
   * Listens on the first usable path, or retries in the background. Replaces the socket of an agent that is dead, and
   * waits for one that lives to end. Never rejects: DNS does not depend on it.
   */
  async open(): Promise<void> {
    let failure: unknown;
    for (const path of this.#parts.paths) {
      try {
        await this.#listen(path);
        return;
      } catch (error) {
        failure = error;
      }
    }
    if (this.#isClosed || failure === undefined) return;
    this.#explain(failure);
    this.#retry = this.#parts.clock.after(RETRY_MS, () => void this.open());
  }

  /** Ends all connections and removes the socket. */
  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    for (const connection of this.#connections) connection.destroy();
    // Node removes the file of a socket that it closes.
    this.#server?.close();
    this.#path = undefined;
  }

  async #listen(path: string): Promise<void> {
    makeFolder(dirname(path));
    await removeDead(path);
    const { clock, handler } = this.#parts;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const connection = new AdminConnection(socket, clock, handler);
      this.#connections.add(connection);
      void connection.closed.then(() => this.#connections.delete(connection));
    });
    server.maxConnections = MAX_CONNECTIONS;
    await listening(server, path);
    // Too many open files must not end the process.
    server.on('error', (error) => this.#explain(error));
    if (this.#isClosed) {
      server.close();
      return;
    }
    this.#server = server;
    this.#path = path;
    this.#logged = '';
    this.#parts.log.info({ path }, 'admin socket open');
  }

  #explain(error: unknown): void {
    const { log, paths, isChosen } = this.#parts;
    const reason = messageOf(error);
    if (this.#logged === reason) return;
    this.#logged = reason;
    const fields = { paths, reason, errno: errnoOf(error) };
    const message = 'cannot open the admin socket, will retry: DNS is not affected';
    if (isChosen) log.warn({ event: 'admin-socket', ...fields }, message);
    else log.info(fields, message);
  }
}

/** The user's run folder has no folder of nodens at first. The pod's folder is a volume, and is never made. */
function makeFolder(folder: string): void {
  if (folder.startsWith(POD_FOLDER)) return;
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

/** A killed agent leaves its socket behind. Throws if an agent lives there, or if the file is no socket. */
async function removeDead(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new UsageError(`${path} exists and is not a socket`);
  const errno = await connectError(path);
  if (errno !== 'ECONNREFUSED' && errno !== 'ENOENT')
    throw new UsageError(`another agent has ${path}${errno === undefined ? '' : ` (${errno})`}`);
  rmSync(path, { force: true });
}

/** Between bind and chmod any user could connect, so that the socket is made with its final mode. */
function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const umask = process.umask(ONLY_OWNER_UMASK);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        try {
          chmodSync(path, ONLY_OWNER);
          resolve();
        } catch (error) {
          // Another agent has taken the file away: an exception here would end the process.
          server.close();
          reject(error instanceof Error ? error : new Error(messageOf(error)));
        }
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** Why no process can be reached at `path`; undefined if one answers. */
function connectError(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error) => resolve(errnoOf(error)));
  });
}
