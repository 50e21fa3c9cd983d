/** Clients that ask an admin port for pages and do not read them. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type HostileAgent, startAgent } from '../support/hostile/agent.ts';
import { untakenBytes } from '../support/hostile/kernel.ts';
import { boundBytes, LONG_LIMITS, where, within } from '../support/hostile/limits.ts';
import { Neighbour } from '../support/hostile/pod/neighbour.ts';
import { RawClient } from '../support/hostile/raw-client.ts';
import { scrape } from '../support/hostile/scrape.ts';
import { allowedMs } from '../support/machine.ts';
import { eventually } from '../support/netns/netns.ts';

const MAX_SCRAPE_MS = await allowedMs(1_000);

const MEBI = 2 ** 20;
/** As in our manifests. */
const LIMITS = LONG_LIMITS ?? ['128'];
const ATTACKER = '127.0.0.1';
const GET = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
/** Much longer than the time limit of a response and of the requests before it, on a busy machine. */
const UNTIL_CLOSED_MS = 60_000;

interface Attack {
  readonly name: string;
  readonly connections: number;
  readonly sends: string;
  readonly isHalfClosed?: true;
  /** The kernel may buffer all data of one connection: then it ends like any other. */
  readonly mayFit?: true;
}

const ATTACKS: readonly Attack[] = [
  {
    name: '1,000 pipelined scrapes on one connection',
    connections: 1,
    sends: GET.repeat(1_000),
  },
  {
    name: '1,000 pipelined scrapes on each of 40 connections',
    connections: 40,
    sends: GET.repeat(1_000),
  },
  {
    name: 'one scrape on each of 60 connections, half-closed',
    connections: 60,
    sends: GET,
    isHalfClosed: true,
  },
  {
    name: '20,000 pipelined requests for a small page',
    connections: 1,
    sends: 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20_000),
    mayFit: true,
  },
];

interface Attacked {
  readonly attack: Attack;
  readonly agent: HostileAgent;
  readonly clients: RawClient[];
}

/** Opens the connections of the attacker, which do not read. */
async function begin({ attack, agent, clients }: Attacked): Promise<void> {
  for (let i = 0; i < attack.connections; i++) {
    const one = await RawClient.open({ port: agent.ports.metrics, localAddress: ATTACKER });
    clients.push(one);
    one.send(attack.sends);
    if (attack.isHalfClosed) one.half();
  }
}

/** Observes for two seconds; the maximum memory of the agent, bytes. */
async function watch(agent: HostileAgent): Promise<number> {
  let peak = 0;
  for (let i = 0; i < 20; i++) {
    await pause(100);
    assert.ok(agent.isRunning, 'the agent is alive');
    peak = Math.max(peak, agent.neededBytes);
    if (i % 5 !== 0) continue;
    const { status, tookMs } = await scrape(agent.ports.metrics, '127.0.0.2');
    assert.equal(status, 200);
    assert.ok(tookMs < MAX_SCRAPE_MS, `a scrape of another client took ${tookMs} ms`);
  }
  return peak;
}

/** Connections closed because their client did not read, or because it used too much memory. */
async function closed(agent: HostileAgent): Promise<number> {
  const name = 'nodens_admin_connections_closed_total';
  const counts = ['response_timeout', 'memory'].map((reason) => agent.metric(name, { reason }));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Each attack has its own agent: while the next one starts, this one waits for its connections to be closed. */
function unread(limit: string): void {
  const all: Attacked[] = [];
  after(async () => {
    for (const { agent, clients } of all) {
      for (const client of clients) client.close();
      await agent.stop();
    }
  });

  for (const attack of ATTACKS) {
    it(attack.name, async () => {
      const agent = await startAgent(within(limit));
      const attacked = { attack, agent, clients: [] };
      all.push(attacked);
      const neighbour = await Neighbour.open(agent.ports.dns);
      neighbour.start(20);
      await begin(attacked);
      const peak = await watch(agent);
      const { asked, lost } = await neighbour.close();
      process.stdout.write(
        `# ${attack.name}, ${where(limit)}: ${(peak / MEBI).toFixed(1)} MiB needed\n`,
      );
      assert.ok(asked > 50);
      assert.equal(lost, 0, `${lost} of ${asked} hits lost`);
      assert.equal(agent.oomKills, 0);
      assert.ok(peak < boundBytes(limit), `${peak} bytes needed`);
    });
  }

  it('have their connections closed', async () => {
    for (const { attack, agent } of all) {
      const open = (): Promise<number> => agent.metric('nodens_admin_connections');
      // The scrape that reads the counter has its own connection.
      await eventually('they are closed', async () => (await open()) <= 1, UNTIL_CLOSED_MS);
      const untaken = (): number => untakenBytes(agent.ports.metrics);
      // Once data in flight has been acknowledged.
      await eventually('the kernel holds nothing for them', () => untaken() === 0);
      // A client that has ended its side may have read everything: that is not counted.
      if (attack.isHalfClosed !== true && attack.mayFit !== true)
        assert.equal(await closed(agent), attack.connections);
    }
  });

  it('are logged, with the address of their client', async () => {
    const what = 'http_slow';
    for (const { attack, agent } of all) {
      if (attack.isHalfClosed === true || attack.mayFit === true) continue;
      const labels = { what, client: ATTACKER };
      assert.ok((await agent.metric('nodens_client_limited_total', labels)) > 0, attack.name);
      assert.match(agent.log(), /"what":"http_slow","client":"127\.0\.0\.1"/);
    }
  });
}

for (const limit of LIMITS)
  describe(`pages that their client does not read, ${where(limit)}`, () => unread(limit));
