/** The clients: dnsperf for throughput, `latency.c` for percentiles, both on the other core. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { LOAD_CORE } from './process.ts';

/** Questions that dnsperf keeps open, over this many sockets or connections. */
const OUTSTANDING = '200';
const CLIENTS = '10';
const TIMEOUT_SECONDS = '1';

export interface Throughput {
  readonly completed: number;
  readonly lost: number;
  readonly seconds: number;
}

export interface Latency {
  readonly sent: number;
  readonly answered: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Questions that were not answered within a millisecond. */
  readonly late: number;
}

async function output(argv: readonly string[]): Promise<string> {
  const child = spawn('taskset', ['-c', String(LOAD_CORE), ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${argv.join(' ')} failed:\n${text}`);
  return text;
}

export interface Asking {
  readonly port: number;
  readonly file: string;
  readonly transport: 'udp' | 'tcp';
  /** `seconds` long, or the file once. */
  readonly seconds?: number;
  readonly more?: readonly string[];
}

/** At the maximum rate. */
export async function ask(asking: Asking): Promise<Throughput> {
  const { port, file, transport, seconds, more = [] } = asking;
  const text = await output([
    ...['dnsperf', '-s', '127.0.0.1', '-p', String(port), '-d', file, '-m', transport],
    ...['-q', OUTSTANDING, '-c', CLIENTS, '-T', '1', '-t', TIMEOUT_SECONDS, '-W'],
    ...['-O', 'suppress=timeouts,congestion'],
    ...(seconds === undefined ? ['-n', '1'] : ['-l', String(seconds)]),
    ...more,
  ]);
  const number = (label: string): number =>
    Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(text)?.[1] ?? Number.NaN);
  return {
    completed: number('Queries completed'),
    lost: number('Queries lost'),
    seconds: number('Run time \\(s\\)'),
  };
}

/** At a fixed rate. */
export async function pace(
  binary: string,
  asking: { port: number; file: string; qps: number; seconds: number },
): Promise<Latency> {
  const { port, file, qps, seconds } = asking;
  return JSON.parse(
    await output([binary, String(port), file, String(qps), String(seconds)]),
  ) as Latency;
}

/** `probe.example.org. A`. */
const PROBE = Buffer.from(
  '0b0b010000010000000000000570726f6265076578616d706c65036f72670000010001',
  'hex',
);
const PROBE_EVERY_MS = 1;

/** Milliseconds until `port` answers a question; rejects after `limitMs`. */
export async function firstAnswer(port: number, limitMs: number): Promise<number> {
  const startMs = performance.now();
  const socket = createSocket('udp4');
  socket.on('error', () => {});
  try {
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(limitMs) });
    const probe = setInterval(() => socket.send(PROBE, port, '127.0.0.1'), PROBE_EVERY_MS);
    await answered.finally(() => clearInterval(probe));
    return performance.now() - startMs;
  } finally {
    socket.close();
  }
}
