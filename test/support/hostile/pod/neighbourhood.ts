/**
 * A well-behaved pod: it asks for cached names over UDP and TCP, for uncached ones over UDP, and its upstream for the
 * comparison.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { spawnUndelayed } from '../undelayed.ts';
import { type Neighbourhood, quantile } from './neighbour.ts';

const POD = fileURLToPath(new URL('./pod.ts', import.meta.url));

export interface PodOutcome {
  /** Cached names over UDP. */
  readonly hits: Neighbourhood;
  /** The same over TCP, one connection for each query. */
  readonly tcp: Neighbourhood;
  /** Unique names, which the upstream answers. */
  readonly fresh: Neighbourhood;
  /** Straight from the upstream: what the machine, the upstream and the pod itself take. */
  readonly direct: Neighbourhood;
}

let pods = 0;

interface PortsToAsk {
  readonly dns: number;
  readonly upstream: number;
}

/** The pod at `address` asks while `meanwhile` runs; returns the results. */
export async function besidePod(
  { dns, upstream }: PortsToAsk,
  address: string,
  meanwhile: () => Promise<void>,
): Promise<PodOutcome> {
  const names = `p${++pods}.fresh.test`;
  const pod = spawnUndelayed('client', POD, [`${dns}`, address, names, `${upstream}`]);
  const ended = once(pod, 'close');
  let outcome = '';
  pod.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    outcome += chunk;
  });
  try {
    await once(pod.stdout as NodeJS.ReadableStream, 'data');
    await meanwhile();
  } finally {
    pod.stdin?.end();
    await ended;
  }
  return JSON.parse(outcome) as PodOutcome;
}

/** `0/150 p50 0.4 p99 2.1 max 3.0 ms`: lost of asked, and the latencies. */
export function summary({ asked, lost, tookMs }: Neighbourhood): string {
  const [p50, p99, max] = [0.5, 0.99, 1].map((q) => quantile(tookMs, q).toFixed(1));
  return `${lost}/${asked} p50 ${p50} p99 ${p99} max ${max} ms`;
}
