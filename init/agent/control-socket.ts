/** The control socket: init listens, agents connect. An agent reports ready and goodbye; init sends it the state. */
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import {
  type AgentMessage,
  controlDecoder,
  encodeControl,
  type InitMessage,
} from '../../agent/base/control.ts';
import { errnoOf, NodensError } from '../../agent/base/errors.ts';
import type { Log } from '../log.ts';

/** Two agents during an upgrade, and some spare. */
const MAX_CONNECTIONS = 8;

/** What init does with messages of agents. None may throw, nor may `onWithdraw` reject: the socket catches nothing. */
export interface ControlHandlers {
  /** The first message to an agent that connects. */
  readonly status: () => InitMessage;
  /** `agent` is the same object for one connection's lifetime. */
  readonly onReady: (agent: object, nonce: string | undefined) => void;
  /** The acknowledgement is sent when this resolves. */
  readonly onWithdraw: (agent: object) => Promise<void>;
  /** The connection ended, for whatever reason. */
  readonly onGone: (agent: object) => void;
}

/** The open control socket; at most 8 agents are connected at a time. */
export interface Control {
  /** Sends to every agent that is connected; does not wait until they have read it. */
  broadcast(message: InitMessage): void;
  /** To be called when interception is withdrawn: agents get that message. */
  close(): Promise<void>;
}

/** Thrown when another init serves this node already. */
export class AlreadyRunningError extends NodensError {
  constructor(path: string) {
    super('NODENS_ALREADY_RUNNING', `another nodens init answers on ${path}`);
  }
}

/** Listens on the unix socket `path`, only for root and `agentUid`. Rejects with `AlreadyRunningError` or a system error. */
export async function listenControl(
  path: string,
  agentUid: number,
  log: Log,
  handlers: ControlHandlers,
): Promise<Control> {
  await mkdir(dirname(path), { recursive: true });
  if (await isListening(path)) throw new AlreadyRunningError(path);
  await rm(path, { force: true });
  const agents = new Set<Socket>();
  const server = createServer((socket) => serve(socket, { agents, log, handlers }));
  server.maxConnections = MAX_CONNECTIONS;
  await listening(server, path);
  await restrict(path, agentUid);
  return {
    broadcast: (message) => {
      for (const agent of agents) agent.write(encodeControl(message));
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // An agent that stops with init may wait for `withdrawn`, or be about to ask for it.
        const last = encodeControl({ type: 'withdrawn' });
        for (const agent of agents) {
          // An agent that hangs has not read earlier messages: do not wait for it.
          if (agent.writableLength > 0) agent.destroy();
          else agent.end(last, () => agent.destroy());
        }
      }),
  };
}

interface Serving {
  readonly agents: Set<Socket>;
  readonly log: Log;
  readonly handlers: ControlHandlers;
}

function serve(socket: Socket, { agents, log, handlers }: Serving): void {
  agents.add(socket);
  socket.setEncoding('utf8');
  const send = (message: InitMessage): void => {
    if (socket.writable) socket.write(encodeControl(message));
  };
  const onData = controlDecoder<AgentMessage>(
    (message) => {
      if (message.type === 'ready') handlers.onReady(socket, nonceOf(message));
      else if (message.type === 'withdraw')
        void handlers.onWithdraw(socket).then(() => send({ type: 'withdrawn' }));
    },
    (line) => {
      log.warn('control socket: closed a connection that sent no message', {
        event: 'control-message',
        line,
      });
      socket.destroy();
    },
  );
  socket.on('data', onData);
  // 'close' follows, whatever the reason.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    agents.delete(socket);
    handlers.onGone(socket);
  });
  send(handlers.status());
}

/** A message of the socket is not what its type says until it is checked. */
function nonceOf(message: { readonly nonce?: unknown }): string | undefined {
  return typeof message.nonce === 'string' ? message.nonce : undefined;
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => finish(true));
    socket.on('error', () => finish(false));
  });
}

/** Without CAP_CHOWN the directory has to protect it: the volume that only init and agent mount. */
async function restrict(path: string, uid: number): Promise<void> {
  try {
    await chown(path, uid, uid);
    await chmod(path, 0o600);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
    await chmod(path, 0o666);
  }
}
