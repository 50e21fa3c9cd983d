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
  stop(): Promise<void>;
}

interface Response {
  readonly status: 'success' | 'error';
  readonly error?: string;
  readonly data?: { readonly result: readonly { readonly value: readonly [number, string] }[] };
}

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
  const query = async (expr: string): Promise<number[]> => {
    const url = `http://${listen}/api/v1/query?${new URLSearchParams({ query: expr })}`;
    const { status, error, data } = (await (await fetch(url)).json()) as Response;
    if (status !== 'success') throw new Error(`${expr}: ${error}`);
    return (data?.result ?? []).map(({ value }) => Number(value[1]));
  };
  return { query, stop };
}
