/** A real Prometheus on loopback, with its own data directory. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';
import { eventually } from '../netns/netns.ts';
import { stopped } from '../server/subject.ts';

export interface Prometheus {
  /** Values of an instant query, one a series. Throws an Error with Prometheus's reason where it refuses. */
  query(expr: string): Promise<number[]>;
  /** Trace IDs of all exemplars that it has for the series of `expr`. */
  traceIds(expr: string): Promise<string[]>;
  stop(): Promise<void>;
}

interface Response<Data> {
  readonly status: 'success' | 'error';
  readonly error?: string;
  readonly data?: Data;
}

interface Values {
  readonly result: readonly { readonly value: readonly [number, string] }[];
}

type SeriesExemplars = readonly {
  readonly exemplars: readonly { readonly labels: { readonly trace_id: string } }[];
}[];

/** A month, in seconds. */
const PAST_SECONDS = 30 * 86_400;

/** Starts Prometheus, which scrapes `address` every second as job `job` and evaluates `ruleFiles` as often. */
export async function startPrometheus(
  address: string,
  job: string,
  ruleFiles: readonly string[] = [],
): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-prometheus-'));
  const listen = `127.0.0.1:${await freePort()}`;
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ruleFiles,
    scrape_configs: [{ job_name: job, static_configs: [{ targets: [address] }] }],
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const args = [
    ...[`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${folder}/data`],
    ...[`--web.listen-address=${listen}`, '--log.level=error'],
    '--enable-feature=exemplar-storage',
  ];
  const child = spawn('prometheus', args, { stdio: 'ignore' });
  const stop = async (): Promise<void> => {
    await stopped(child);
    rmSync(folder, { recursive: true });
  };
  try {
    await eventually('Prometheus is ready', async () => {
      const response = await fetch(`http://${listen}/-/ready`).catch(() => undefined);
      return response?.ok === true;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const ask = async <Data>(path: string, params: Record<string, string>): Promise<Data> => {
    const url = `http://${listen}/api/v1/${path}?${new URLSearchParams(params)}`;
    const { status, error, data } = (await (await fetch(url)).json()) as Response<Data>;
    if (status !== 'success' || data === undefined) throw new Error(`${params.query}: ${error}`);
    return data;
  };
  const query = async (expr: string): Promise<number[]> => {
    const { result } = await ask<Values>('query', { query: expr });
    return result.map(({ value }) => Number(value[1]));
  };
  const traceIds = async (expr: string): Promise<string[]> => {
    const end = Date.now() / 1_000;
    const range = { start: String(end - PAST_SECONDS), end: String(end + 1) };
    const found = await ask<SeriesExemplars>('query_exemplars', { query: expr, ...range });
    return found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id));
  };
  return { query, traceIds, stop };
}
