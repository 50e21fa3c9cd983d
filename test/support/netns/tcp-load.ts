/** TCP clients that ask without a pause in a namespace, as `clients/tcp-background-load.ts` counts them. */
import type { Netns } from '../cluster/netns.ts';

export interface TcpLoadOptions {
  readonly server: string;
  readonly clients: number;
  /** How long they ask. */
  readonly until: Promise<unknown>;
}

export interface TcpLoadResult {
  readonly answered: number;
  /** Queries that crossed the server's FIN; answered on another connection unless counted in `lost`. */
  readonly closed: number;
  /** Connections that were cut or refused. */
  readonly reset: number;
  readonly lost: number;
  readonly slowestMs: number;
}

const CLIENT = new URL('../clients/tcp-background-load.ts', import.meta.url).pathname;

/** Without an end condition. */
const MAX_MS = 150_000;

export async function tcpLoad(from: Netns, options: TcpLoadOptions): Promise<TcpLoadResult> {
  const { server, clients, until } = options;
  const argv = [process.execPath, CLIENT, server, `${clients}`];
  const text = await from.must(argv, { timeoutMs: MAX_MS, until });
  const [result] = JSON.parse(text.split('\n')[1] ?? '') as TcpLoadResult[];
  return result as TcpLoadResult;
}
