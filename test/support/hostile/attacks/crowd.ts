/** Many TCP connections of one client, opened again when the agent closes them. */
import { setTimeout as pause } from 'node:timers/promises';
import { RawClient } from '../raw-client.ts';

/** Where a crowd connects to. */
export interface Place {
  readonly port: number;
  /** The attacker's own address. */
  readonly address: string;
}

export interface Target extends Place {
  /** The port of /metrics. */
  readonly metrics: number;
}

export interface CrowdOptions {
  readonly size: number;
  readonly sipBytes?: number;
  /** Action of a connection once it is open. */
  readonly begin: (client: RawClient) => void;
  /** Action of a connection every `everyMs` after that. */
  readonly goOn?: (client: RawClient) => void;
  readonly everyMs?: number;
}

/** Connection attempts in parallel, as many as a backlog holds. */
const AT_ONCE = 100;
const PAUSE_MS = 20;

/** Keeps `size` connections open while the process runs. */
export async function crowd(target: Place, options: CrowdOptions): Promise<never> {
  const { size, sipBytes, begin, goOn, everyMs = 1_000 } = options;
  let held: RawClient[] = [];
  const open = async (): Promise<void> => {
    const { port, address: localAddress } = target;
    const client = await RawClient.open({
      ...{ port, localAddress },
      ...(sipBytes !== undefined && { sipBytes }),
    });
    begin(client);
    held.push(client);
  };
  let lastMs = performance.now();
  for (;;) {
    held = held.filter((client) => !client.isEnded);
    const missing = Math.min(AT_ONCE, size - held.length);
    await Promise.allSettled(Array.from({ length: missing }, open));
    if (missing === AT_ONCE) continue;
    await pause(PAUSE_MS);
    if (performance.now() - lastMs < everyMs) continue;
    lastMs = performance.now();
    for (const client of held) goOn?.(client);
  }
}
