/** Steady TCP clients in a namespace, as `clients/tcp-steady.ts` counts them. */
import type { Netns } from '../lab/topology/netns.ts';

export interface TcpLoadOptions {
  readonly server: string;
  readonly clients: number;
  readonly seconds: number;
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

const CLIENT = new URL('./clients/tcp-steady.ts', import.meta.url).pathname;

export async function tcpLoad(from: Netns, options: TcpLoadOptions): Promise<TcpLoadResult> {
  const { server, clients, seconds } = options;
  const text = await from.must([process.execPath, CLIENT, server, `${clients}`, `${seconds}`], {
    timeoutMs: seconds * 1_000 + 15_000,
  });
  const [result] = JSON.parse(text) as TcpLoadResult[];
  return result as TcpLoadResult;
}
