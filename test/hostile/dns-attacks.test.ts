/**
 * One pod attacks over DNS or HTTP. The agent stays alive and within its memory limit, names the attacker, and serves the pod beside
 * it as before. `npm run hostile` repeats each attack within every limit (`NODENS_HOSTILE_LIMITS`, MiB) and for longer
 * (`NODENS_HOSTILE_SECONDS`), and compares with quiet times between: all processes but the attacker's then have real-time
 * priority where this machine allows it, the pod the highest.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Limited } from '../../agent/query/services/client-limits.ts';
import { type HostileAgent, type Ports, startAgent } from '../support/hostile/agent.ts';
import { OTHER_POD, ROWS, type Row } from '../support/hostile/attacks/rows.ts';
import { processorMs } from '../support/hostile/kernel.ts';
import { boundBytes, LONG_LIMITS, where, within } from '../support/hostile/limits.ts';
import { besidePod, type PodOutcome, summary } from '../support/hostile/pod/neighbourhood.ts';
import { allowedP99, compared, summaryOf, type Window } from '../support/hostile/pod/windows.ts';
import { startUpstream } from '../support/hostile/upstream.ts';
import { eventually } from '../support/netns/netns.ts';

const ATTACKER = fileURLToPath(new URL('../support/hostile/attacks/attacker.ts', import.meta.url));
const MEBI = 2 ** 20;
const POD = '127.0.0.8';
/** In `npm run hostile`: times without and with the attack, in turn. */
const ROUNDS = 3;
/** Before them, so that a quiet time is not one in which V8 compiles the agent and the pod. */
const WARM_MS = 3_000;
/** What the attack may add: p99 in the median of the rounds is at most twice that of the quiet times, or this. */
const LATER = 2;
/**
 * A turn of the event loop with a collection of garbage, which takes up to 4 ms, as do a machine's own delays. Over TCP two
 * of them: a connection is accepted in one turn and read in the next.
 */
const FLOOR_MS = { hits: 5, tcp: 10, fresh: 5 } as const;
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

/** Ends at the latest with the test's process, which closes its input. */
class Attacker {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor({ from = OTHER_POD, attacks }: Row, { dns, metrics }: Ports) {
    const args = [ATTACKER, `${dns}`, `${metrics}`, from, ...attacks];
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

/** Of the agent under attack. */
interface Usage {
  /** At most, bytes. */
  resident: number;
  needed: number;
  /** Of its main thread: how long it ran, and waited for a processor, of `tookMs`. */
  ranMs: number;
  waitedMs: number;
  tookMs: number;
}

const NO_USAGE: Usage = { resident: 0, needed: 0, ranMs: 0, waitedMs: 0, tookMs: 0 };

function bothUsed(a: Usage, b: Usage): Usage {
  return {
    resident: Math.max(a.resident, b.resident),
    needed: Math.max(a.needed, b.needed),
    ranMs: a.ranMs + b.ranMs,
    waitedMs: a.waitedMs + b.waitedMs,
    tookMs: a.tookMs + b.tookMs,
  };
}

/** Attacks for the given seconds, and until the attacker has been limited where it must be. */
async function attacked(row: Row, agent: HostileAgent, seconds: number): Promise<Usage> {
  const peak = { resident: 0, needed: 0 };
  const before = processorMs(agent.pid);
  const startMs = performance.now();
  const attacker = new Attacker(row, agent.ports);
  const look = (): void => {
    assert.ok(agent.isRunning, 'the agent is alive');
    assert.ok(attacker.isRunning, 'the attack continues');
    peak.resident = Math.max(peak.resident, agent.residentBytes);
    peak.needed = Math.max(peak.needed, agent.neededBytes);
  };
  try {
    const endMs = startMs + seconds * 1_000;
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
  const { ran, waited } = processorMs(agent.pid);
  const tookMs = performance.now() - startMs;
  return { ...peak, ranMs: ran - before.ran, waitedMs: waited - before.waited, tookMs };
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

/** Waits until the agent has given back what the attacker made it hold. */
async function givenBack(agent: HostileAgent): Promise<void> {
  for (const [held, most] of Object.entries(MOST_LEFT))
    await eventually(
      `${held} is at most ${most}`,
      async () => (await agent.metric(held)) <= most,
      GIVEN_BACK_MS,
    );
}

interface Beside {
  readonly outcome: PodOutcome;
  readonly windows: readonly Window[];
  readonly usage: Usage;
}

async function besideAttack(row: Row, agent: HostileAgent): Promise<Beside> {
  const windows: Window[] = [];
  let usage = NO_USAGE;
  const during = async (isQuiet: boolean, work: () => Promise<unknown>): Promise<void> => {
    const fromMs = Date.now();
    await work();
    windows.push({ isQuiet, fromMs, toMs: Date.now() });
  };
  const attack = async (seconds: number): Promise<void> => {
    usage = bothUsed(usage, await attacked(row, agent, seconds));
  };
  const outcome = await besidePod(agent.ports, POD, async () => {
    if (SECONDS === undefined) return during(false, () => attack(row.seconds ?? 1));
    const seconds = Number(SECONDS) / ROUNDS;
    await pause(WARM_MS);
    for (let round = 0; round < ROUNDS; round++) {
      await during(true, () => pause(seconds * 1_000));
      await during(false, () => attack(seconds));
      await givenBack(agent);
    }
  });
  return { outcome, windows, usage };
}

const KINDS = ['hits', 'tcp', 'fresh'] as const;

function assertInTime({ outcome, windows }: Beside): void {
  for (const kind of KINDS) {
    const latencies = compared(outcome[kind], windows);
    const { p99 } = latencies.attacked;
    const allowed = allowedP99(latencies, LATER, FLOOR_MS[kind]);
    assert.ok(p99 <= allowed, `${kind}: p99 ${p99.toFixed(1)} ms of ${allowed.toFixed(1)}`);
  }
}

async function assertHarmless(row: Row, agent: HostileAgent, limit: string): Promise<void> {
  const beside = await besideAttack(row, agent);
  const { outcome, windows } = beside;
  const { resident, needed, ranMs, waitedMs, tookMs } = beside.usage;
  const pod = [...KINDS, 'direct' as const].map((kind) =>
    SECONDS === undefined
      ? `${kind} ${summary(outcome[kind])}`
      : `${kind} ${outcome[kind].lost} lost, ${summaryOf(compared(outcome[kind], windows))}`,
  );
  const share = (ms: number): string => `${((100 * ms) / tookMs).toFixed(0)} %`;
  const processor = `main thread ran ${share(ranMs)} and waited ${share(waitedMs)} of the time`;
  const mebi = (bytes: number): string => (bytes / MEBI).toFixed(1);
  const memory = `${mebi(needed)} MiB needed, ${mebi(resident)} resident`;
  const limited = (await limits(agent, row)).join(', ') || 'nothing';
  process.stdout.write(
    `# ${row.name}, ${where(limit)}: ${memory}; ${processor}; ${pod.join('; ')}; limited: ${limited}\n`,
  );
  await assertNamed(agent, row);
  assertUnharmed(outcome);
  assert.equal(agent.oomKills, 0);
  assert.ok(needed < boundBytes(limit), `${needed} bytes needed`);
  if (SECONDS !== undefined) assertInTime(beside);
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
        const isUndelayed = SECONDS !== undefined;
        const agent = await startAgent({ upstream, isUndelayed, ...within(limit) });
        test.after(() => agent.kill());
        await assertHarmless(row, agent, limit);
      });
    }
  }
});
