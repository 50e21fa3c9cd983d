/**
 * What pods and host-network clients see when agent, init and the nft that holds the rules are killed or frozen.
 * NODENS_CHAOS_ROUNDS repeats each fault; lines with `#` tell what was measured.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { ruleCounters } from '../lab/topology/observe.ts';
import { V4 } from '../lab/topology/plan.ts';
import type { Daemon } from '../lab/topology/process.ts';
import { PROXIES, type ProxyKind } from '../lab/topology/proxy.ts';
import { type Running, type Site, startNodens } from '../lab/topology/site.ts';
import { timed, until } from '../lab/topology/wait.ts';
import type { Steady } from '../support/clients/steady.ts';
import { describeSites, withSite } from '../support/sites.ts';

const ROUNDS = Number(process.env.NODENS_CHAOS_ROUNDS ?? 1);
const CLIENT = new URL('../support/clients/steady.ts', import.meta.url).pathname;
const NAME = 'kubernetes.default.svc.cluster.local';
const INTERVAL_MS = 4;
const MAX_GAP_MS = 50;

/** Two pods' worth of clients and the node's own, each asking VIP and link-local address 250 times a second. */
class Clients {
  readonly #children: [where: string, child: ChildProcess, said: () => string][] = [];

  constructor({ cluster }: Site) {
    for (const [where, space] of [
      ['pod', cluster.pods[0]],
      ['host', cluster.node],
    ] as const) {
      const [file = '', ...args] = space.argv(
        ...[process.execPath, CLIENT, NAME, String(INTERVAL_MS), V4.vip, V4.local],
      );
      const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      this.#children.push([where, child, () => text]);
    }
  }

  async asking(): Promise<void> {
    await until('clients to ask', () => this.#children.every(([, , said]) => said() !== ''));
  }

  async stop(): Promise<(Steady & { readonly where: string })[]> {
    const ends = this.#children.map(async ([where, child, said]) => {
      const closed = new Promise((resolve) => {
        child.once('close', resolve);
      });
      child.stdin?.end();
      await closed;
      const report = JSON.parse(said().split('\n')[1] ?? '') as Steady[];
      return report.map((steady) => ({ ...steady, where }));
    });
    return (await Promise.all(ends)).flat();
  }
}

/** The `nft -i` child of init. */
function holderPid(init: Daemon): number {
  const children = readFileSync(`/proc/${init.pid}/task/${init.pid}/children`, 'utf8');
  const pid = children
    .split(' ')
    .filter(Boolean)
    .find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8') === 'nft\0-i\0');
  assert.ok(pid, 'init has an nft that holds the rules');
  return Number(pid);
}

async function queryRules({ cluster }: Site): Promise<string[]> {
  return [...(await ruleCounters(cluster.node)).keys()].filter((rule) => rule.startsWith('query-'));
}

interface Fault {
  readonly what: string;
  readonly strike: (running: Running) => void;
  /** Who does not come back by itself. */
  readonly kills: readonly (keyof Running)[];
}

const FAULTS: readonly Fault[] = [
  { what: 'agent', strike: ({ agent }) => agent.signal('SIGKILL'), kills: ['agent'] },
  { what: 'init', strike: ({ init }) => init.signal('SIGKILL'), kills: ['init'] },
  { what: 'nft', strike: ({ init }) => process.kill(holderPid(init), 'SIGKILL'), kills: [] },
  {
    what: 'all',
    strike: ({ agent, init }) => {
      const nft = holderPid(init);
      for (const pid of [init.pid, nft, agent.pid]) process.kill(pid, 'SIGKILL');
    },
    kills: ['agent', 'init'],
  },
];

const delay = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

function quantiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(0);
  return `median ${at(0.5)}, p90 ${at(0.9)}, max ${at(1)} of ${sorted.length}`;
}

/** Strikes while clients ask; resolves to what they saw. */
async function strikeOnce(
  site: Site,
  running: Running,
  { strike, kills }: Fault,
): Promise<(Steady & { readonly where: string })[]> {
  const clients = new Clients(site);
  await clients.asking();
  await delay(300);
  strike(running);
  await delay(700);
  if (kills.length > 0) assert.deepEqual(await queryRules(site), [], 'query rules left');
  return clients.stop();
}

/** Starts again what `fault` killed; resolves when interception is back. */
async function recover(site: Site, running: Running, { kills }: Fault): Promise<Running> {
  let now = running;
  if (kills.length > 0) {
    await Promise.all([running.agent.stop('SIGKILL'), running.init.stop('SIGKILL')]);
    now = await startNodens(site);
  }
  await until('interception', async () => (await queryRules(site)).length > 0);
  return now;
}

function assertServed(reports: readonly (Steady & { readonly where: string })[]): void {
  for (const { where, server, sent, lost, gapMs } of reports) {
    assert.ok(sent > 100, `${sent} sent`);
    assert.ok(gapMs <= MAX_GAP_MS, `${where} to ${server}: ${gapMs} ms, ${lost} of ${sent}`);
  }
}

/** A round takes about 5 s, four kinds of them; on a busy machine three times as long. */
const TIMEOUT_MS = 120_000 + ROUNDS * 60_000;

const killed = (proxy: ProxyKind): void => {
  for (const fault of FAULTS)
    it(`kill -9 ${fault.what}: nobody waits longer than ${MAX_GAP_MS} ms, on VIP and link-local address`, () =>
      withSite(proxy, async (site) => {
        const seen: Steady[] = [];
        let running = await startNodens(site);
        for (let round = 0; round < ROUNDS; round++) {
          const reports = await strikeOnce(site, running, fault);
          assertServed(reports);
          seen.push(...reports);
          running = await recover(site, running, fault);
        }
        const gaps = quantiles(seen.map(({ gapMs }) => gapMs));
        const losses = quantiles(seen.map(({ lost }) => lost));
        process.stdout.write(
          `# kill -9 ${fault.what}, ${proxy}: gap ms ${gaps}; queries lost, of 250 a second: ${losses}\n`,
        );
      }));

  it('SIGSTOP: served again within 3 s by kube-dns, and once only', () =>
    withSite(proxy, async (site) => {
      const { agent, init } = await startNodens(site);
      const clients = new Clients(site);
      await clients.asking();
      await delay(300);
      const [, tookMs] = await timed(async () => {
        agent.signal('SIGSTOP');
        await until('withdrawal', async () => (await queryRules(site)).length === 0, 5_000);
      });
      await delay(500);
      agent.signal('SIGCONT');
      await delay(2_500);
      assert.deepEqual(await queryRules(site), [], 'not trusted again so soon');
      const reports = await clients.stop();
      const gaps = reports.map(({ gapMs }) => gapMs);
      process.stdout.write(
        `# SIGSTOP, ${proxy}: gap ms ${quantiles(gaps)}; rules gone after ${tookMs.toFixed(0)}\n`,
      );
      for (const { where, server, gapMs } of reports)
        assert.ok(gapMs < 3_000, `${where} to ${server}: ${gapMs} ms`);
      assert.equal(init.log().split('agent does not answer probes').length - 1, 1);
    }));
};

describeSites('killed', killed, PROXIES, TIMEOUT_MS);
