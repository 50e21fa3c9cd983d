/**
 * One pod attacks over DNS. The agent stays alive and within its memory limit, names the attacker, and serves the pod beside
 * it as before. `npm run hostile` repeats each attack within every limit (`NODENS_HOSTILE_LIMITS`, MiB) and for longer
 * (`NODENS_HOSTILE_SECONDS`), and compares with a quiet time before.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Limited } from '../../agent/query/services/client-limits.ts';
import { type HostileAgent, startAgent } from '../support/hostile/agent.ts';
import { boundBytes, LONG_LIMITS, where, within } from '../support/hostile/limits.ts';
import { besidePod, type PodOutcome, summary } from '../support/hostile/neighbourhood.ts';
import { startUpstream } from '../support/hostile/upstream.ts';
import { eventually } from '../support/netns/netns.ts';

const ATTACKER = fileURLToPath(new URL('../support/hostile/attacks/attacker.ts', import.meta.url));
const MEBI = 2 ** 20;
const POD = '127.0.0.8';
const OTHER_POD = '127.0.0.66';
/** The node's own address, whose share is larger. */
const NODE = '127.0.0.1';
/** For uncached names, where places are limited. */
const MAX_LOST = 0.01;
const WATCH_MS = 100;
/** Much longer than a query waits for an answer, and than a client may take to read it. */
const GIVEN_BACK_MS = 30_000;
const LIMITED_MS = 30_000;
/** Memory after an attack; the client that reads these figures uses some itself. */
const MOST_LEFT = { nodens_in_flight_queries: 0, nodens_client_memory_bytes: MEBI / 4 };
const COUNTER = 'nodens_client_limited_total';

const SECONDS = process.env.NODENS_HOSTILE_SECONDS;

interface Row {
  readonly name: string;
  readonly attacks: readonly string[];
  readonly from?: string;
  /** The limit that the client must have hit, one of these; none where it does not affect other clients. */
  readonly limited?: readonly Limited[];
  /** In `npm test`: the limit, MiB, and for how long. */
  readonly limit: string;
  readonly seconds?: number;
}

const ROWS: readonly Row[] = [
  {
    ...{ name: '20 TCP connections: 256 questions without an answer, frames of length zero' },
    ...{ attacks: ['unanswered'], limited: ['queries', 'memory', 'nonsense'] },
    // A query waits for 4 s; frames after it are read then.
    ...{ limit: '128', seconds: 6 },
  },
  {
    ...{ name: '50 TCP connections: frames of length zero', attacks: ['nonsense'], limit: '96' },
    limited: ['nonsense'],
  },
  {
    ...{ name: '500 TCP connections: 60 kB of questions and more for a cached name, nothing read' },
    ...{ attacks: ['unread'], limited: ['memory', 'unread'], limit: '128' },
  },
  {
    ...{ name: 'the same with large answers', attacks: ['unreadBig'], limit: '128' },
    limited: ['memory', 'unread'],
  },
  {
    ...{ name: '1,000 TCP connections, a pending question on each', attacks: ['waiting'] },
    // The first limit to be reached: places, or memory of the queries and connections.
    ...{ limited: ['connections', 'memory', 'queries'], limit: '128' },
  },
  {
    ...{ name: 'the same by the node itself', attacks: ['waiting'], from: NODE, limit: '96' },
    limited: ['connections', 'memory', 'queries'],
  },
  {
    ...{ name: '1,000 names without an answer a second', attacks: ['silent1000'], limit: '128' },
  },
  {
    ...{ name: '4,000 names without an answer a second', attacks: ['silent4000'], limit: '128' },
    ...{ limited: ['queries'], seconds: 3 },
  },
  {
    ...{ name: '4,000 a second by 100 clients', attacks: ['manyClients'], limit: '128' },
  },
  {
    ...{ name: 'names without an answer, as many as a process can send' },
    ...{ attacks: ['silentFlood'], limited: ['datagrams'], limit: '128', seconds: 2 },
  },
  {
    ...{ name: 'a cached name, as often as a process can send', attacks: ['cachedFlood'] },
    ...{ limit: '96' },
  },
  { name: 'datagrams that are no queries', attacks: ['garbage'], limit: '96' },
  {
    ...{ name: '300 TCP connections that read 10 kB a second', attacks: ['slowReaders'] },
    ...{ limited: ['memory', 'unread'], limit: '128' },
  },
  {
    ...{ name: '1,200 TCP connections that send a byte a second', attacks: ['slowWriters'] },
    ...{ limited: ['connections', 'memory'], limit: '96' },
  },
  {
    ...{ name: '1,000 half-closed TCP connections', attacks: ['halfClosed'], limit: '128' },
    limited: ['connections', 'memory', 'queries'],
  },
  {
    ...{ name: '600 unfinished frames of 65,535 bytes', attacks: ['unfinished'], limit: '96' },
    limited: ['memory'],
  },
  { name: 'frames of 65,535 bytes', attacks: ['longFrames'], limit: '128' },
  { name: 'TCP connections opened and closed', attacks: ['floods'], limit: '96' },
  { name: 'TCP connections opened and reset', attacks: ['resets'], limit: '96' },
  {
    ...{ name: 'all kinds together', attacks: ['unread', 'waiting', 'silent1000', 'unfinished'] },
    ...{ limited: ['memory', 'connections', 'queries'], limit: '96', seconds: 4 },
  },
];

/** Ends at the latest with the test's process, which closes its input. */
class Attacker {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor({ from = OTHER_POD, attacks }: Row, port: number) {
    const args = [ATTACKER, `${port}`, from, ...attacks];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] });
    this.#ended = once(this.#child, 'exit');
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null;
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }
}

interface Peak {
  resident: number;
  needed: number;
}

/** Attacks for the given seconds, and until the attacker has been limited where it must be. */
async function attacked(row: Row, agent: HostileAgent, seconds: number): Promise<Peak> {
  const peak = { resident: 0, needed: 0 };
  const attacker = new Attacker(row, agent.ports.dns);
  const look = (): void => {
    assert.ok(agent.isRunning, 'the agent is alive');
    assert.ok(attacker.isRunning, 'the attack continues');
    peak.resident = Math.max(peak.resident, agent.residentBytes);
    peak.needed = Math.max(peak.needed, agent.neededBytes);
  };
  try {
    const endMs = performance.now() + seconds * 1_000;
    while (performance.now() < endMs) {
      look();
      await pause(WATCH_MS);
    }
    await eventually(
      `the client is limited: ${row.limited?.join(', ')}`,
      async () => {
        look();
        return row.limited === undefined || (await limits(agent, row)).length > 0;
      },
      LIMITED_MS,
    );
  } finally {
    await attacker.end();
  }
  return peak;
}

/** The limits that the attacker hit, with their counts. */
async function limits(agent: HostileAgent, { from: client = OTHER_POD, limited }: Row) {
  const counted: string[] = [];
  for (const what of limited ?? []) {
    const count = await agent.metric(COUNTER, { what, client });
    if (count > 0) counted.push(`${what} ${count}`);
  }
  return counted;
}

function assertUnharmed({ hits, tcp, fresh }: PodOutcome): void {
  assert.ok(hits.asked > 0 && tcp.asked > 0 && fresh.asked > 0, 'the pod has asked');
  assert.equal(hits.lost, 0, `${hits.lost} of ${hits.asked} cached names lost`);
  assert.equal(tcp.lost, 0, `${tcp.lost} of ${tcp.asked} cached names lost over TCP`);
  const lost = `${fresh.lost} of ${fresh.asked} uncached names lost`;
  assert.ok(fresh.lost <= Math.ceil(fresh.asked * MAX_LOST), lost);
}

/** Checks that only the attacker is in the counter and in the log. */
async function assertNamed(agent: HostileAgent, { from = OTHER_POD, limited }: Row): Promise<void> {
  assert.equal(await agent.metric(COUNTER, { client: POD }), 0, 'the pod was not limited');
  if (limited === undefined) return;
  const line = new RegExp(`"event":"client-limited".*"client":"${from.replaceAll('.', '\\.')}"`);
  assert.match(agent.log(), line);
}

async function besideAttack(row: Row, agent: HostileAgent, limit: string): Promise<void> {
  const seconds = Number(SECONDS ?? row.seconds ?? 1);
  const { dns } = agent.ports;
  const quiet =
    SECONDS === undefined ? undefined : await besidePod(dns, POD, () => pause(seconds * 500));
  let peak: Peak | undefined;
  const outcome = await besidePod(dns, POD, async () => {
    peak = await attacked(row, agent, seconds);
  });
  const { resident, needed } = peak as unknown as Peak;
  const pod = (['hits', 'tcp', 'fresh'] as const).map(
    (kind) =>
      `${kind} ${summary(outcome[kind])}${quiet ? ` (quiet: ${summary(quiet[kind])})` : ''}`,
  );
  const mebi = (bytes: number): string => (bytes / MEBI).toFixed(1);
  const memory = `${mebi(needed)} MiB needed, ${mebi(resident)} resident`;
  const limited = (await limits(agent, row)).join(', ') || 'nothing';
  process.stdout.write(
    `# ${row.name}, ${where(limit)}: ${memory}; ${pod.join('; ')}; limited: ${limited}\n`,
  );
  await assertNamed(agent, row);
  assertUnharmed(outcome);
  assert.equal(agent.oomKills, 0);
  assert.ok(needed < boundBytes(limit), `${needed} bytes needed`);
  if (SECONDS === undefined) return;
  for (const [held, most] of Object.entries(MOST_LEFT))
    await eventually(
      `${held} is at most ${most}`,
      async () => (await agent.metric(held)) <= most,
      GIVEN_BACK_MS,
    );
}

/** Without a memory limit the agent may have room for these attacks: only limits that are always hit are checked. */
const WITHOUT_LIMIT: readonly Limited[] = ['connections', 'nonsense'];

function rowWithin(row: Row, limit: string): Row {
  if ('limitMebi' in within(limit) || row.limited === undefined) return row;
  const { limited: _, ...rest } = row;
  const limited = row.limited.filter((what) => WITHOUT_LIMIT.includes(what));
  return limited.length === 0 ? rest : { ...rest, limited };
}

describe('one client against the agent', () => {
  for (const each of ROWS) {
    for (const limit of LONG_LIMITS ?? [each.limit]) {
      const row = rowWithin(each, limit);
      it(`${row.name}, ${where(limit)}`, async (test) => {
        const upstream = await startUpstream();
        const agent = await startAgent({ upstream, ...within(limit) });
        test.after(() => agent.kill());
        await besideAttack(row, agent, limit);
      });
    }
  }
});
