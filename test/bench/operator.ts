/** What the means of an operator cost: the same program with and without them, in turns, and commands that look. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, pace } from './load.ts';
import { inGroup, type MeasuredGoal } from './memory.ts';
import { LOAD_CORE, runMsOf, type Server } from './process.ts';
import { MAIN } from './programs/compile.ts';
import { median } from './results.ts';
import { type Bench, footprint, type Started, start } from './rounds.ts';
import { questionFile, SCENARIOS, type Scenario } from './scenarios.ts';
import { nodens, type Place, type Subject } from './subjects.ts';

const SOCKET = 'admin.sock';
/** From the port of a nodens to that of its status page. */
const STATUS_PORT_OFFSET = 20_000;

const without = nodens('nodens-without', { args: () => ['-admin-socket', ''] });
const operated = nodens('nodens-operated', {
  args: ({ dir }: Place) => ['-admin-socket', join(dir, SOCKET)],
  more: ({ port }: Place) => `status 127.0.0.1:${port + STATUS_PORT_OFFSET}`,
});

const HOT = SCENARIOS.find(({ name }) => name === 'hot') as Scenario;

/** A turn is short, so that other work of the machine affects both alike. */
const TURN_SECONDS = 0.5;
const TURNS_PER_ROUND = 8;
const SOAK_SECONDS = 3;
/** The agent releases pages every 5 s. */
const SETTLE_MS = 6_000;

const QPS = 50_000;
/** The command's default. */
const PICTURE_MS = 2_000;
/** A turn with a look or without: who looks does so for minutes, so its first second is reported on its own. */
const FIRST_MS = 1_000;
const LOOK_MS = 2 * PICTURE_MS;
/** For the command to start, on a core that is idle then; and its measurement. */
const COMMAND_MS = 1_500;
const COMMAND_SECONDS = 4;

/** A server that answers less is not at the full rate: other work of the machine has its core. */
const ANSWERED_SHARE = 0.99;

const LOOKS = [
  { what: 'top', argv: ['top'], request: { command: 'top', intervalMs: PICTURE_MS }, most: 3 },
  { what: 'observe', argv: ['observe', '-f'], request: { command: 'observe' }, most: 5 },
  {
    what: 'observe -name',
    argv: ['observe', '-f', '-name', '*.rare.test'],
    request: { command: 'observe', name: '*.rare.test' },
    most: 5,
  },
] as const;

/** By the name that picks them. */
export const OPERATOR_GOALS = {
  'operator-hit': hitGoal,
  'operator-memory': memoryGoal,
  'operator-commands': commandGoals,
} as const satisfies Record<string, (bench: Bench) => Promise<MeasuredGoal[]>>;

/** CPU of the main thread for a hit, in turns. */
async function hitGoal(bench: Bench): Promise<MeasuredGoal[]> {
  const file = questionFile(bench.dir, HOT, 1);
  bench.say('operator: a hit, with and without');
  const both = [await start(bench, without, 'plain'), await start(bench, operated, 'plain')];
  const costs: number[][] = [[], []];
  try {
    for (const { port } of both)
      await ask({ port, file, transport: 'udp', seconds: bench.warmSeconds });
    for (let turn = 0; turn < bench.rounds * TURNS_PER_ROUND; turn++)
      // The other one first in every second turn.
      for (const index of turn % 2 === 0 ? [0, 1] : [1, 0])
        costs[index]?.push(await costOfTurn(both[index] as Started, file));
  } finally {
    for (const { server } of both) await server.stop();
  }
  const ratios = (costs[0] ?? []).map((base, turn) => (costs[1]?.[turn] as number) / base);
  const measured = (median(ratios) - 1) * 100;
  const what = 'a hit beside idle admin socket and status page: more CPU';
  return [{ what, unit: '%', measured, most: 1 }];
}

/** Milliseconds of the main thread for a query. */
async function costOfTurn({ server, port }: Started, file: string): Promise<number> {
  const beforeMs = server.mainThreadMs();
  const { completed } = await ask({ port, file, transport: 'udp', seconds: TURN_SECONDS });
  return (server.mainThreadMs() - beforeMs) / completed;
}

async function memoryGoal(bench: Bench): Promise<MeasuredGoal[]> {
  bench.say('operator: memory, with and without');
  const soaking = { ...bench, soakSeconds: SOAK_SECONDS };
  const anonymous = (subject: Subject): Promise<number> =>
    inGroup(
      subject,
      async (limited) => (await footprint(soaking, limited, HOT, SETTLE_MS)).anonymousMb,
    );
  const pairs: number[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    const base = await anonymous(without);
    pairs.push((await anonymous(operated)) - base);
  }
  const what = 'agent with idle admin socket and status page: more anonymous memory';
  return [{ what, unit: 'MB', measured: median(pairs), most: 1 }];
}

/** CPU at 50,000 queries a second: what the agent takes more while it is looked at, and the command. */
async function commandGoals(bench: Bench): Promise<MeasuredGoal[]> {
  const file = questionFile(bench.dir, HOT, 1);
  const started = await start(bench, operated, 'plain');
  const place = {
    ...started,
    file,
    socket: join(bench.dir, `${operated.name}-${started.port}`, SOCKET),
  };
  try {
    await ask({ port: started.port, file, transport: 'udp', seconds: bench.warmSeconds });
    const goals: MeasuredGoal[] = [];
    for (const { what, argv, request, most } of LOOKS) {
      bench.say(`operator: ${what}`);
      const { steady: agent, first, answeredShare } = await agentShare(bench, place, request);
      const command = await commandShare(bench, place, argv);
      const shares = { agent, 'in its first second': first, command };
      bench.say(
        `  ${Object.entries(shares)
          .map(([of, share]) => `${of} ${share.toFixed(2)} %`)
          .join(', ')}`,
      );
      if (answeredShare < ANSWERED_SHARE) {
        bench.say(`  left out: ${(answeredShare * 100).toFixed(0)} % of the queries were answered`);
        continue;
      }
      const named = `nodens ${what} at ${QPS} queries a second: CPU of agent and command`;
      goals.push({ what: named, unit: '%', measured: agent + command, most });
    }
    return goals;
  } finally {
    await started.server.stop();
  }
}

interface Looked extends Started {
  readonly file: string;
  readonly socket: string;
}

/** Percent of a core. */
interface AgentShare {
  /** After the first second. */
  readonly steady: number;
  readonly first: number;
  readonly answeredShare: number;
}

/**
 * The look begins and ends again and again under one load, because what a query takes changes on a virtual machine: each turn
 * is compared with those before and after it.
 */
async function agentShare(bench: Bench, looked: Looked, request: object): Promise<AgentShare> {
  const { server, port, file, socket } = looked;
  const turns = 2 * bench.rounds + 1;
  const seconds = (FIRST_MS + turns * (FIRST_MS + LOOK_MS)) / 1_000;
  const load = pace(bench.latencyBinary, { port, file, qps: QPS, seconds });
  await pause(FIRST_MS);
  const first: number[] = [];
  const steady: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const look = turn % 2 === 1 ? await looking(socket, request) : undefined;
    first.push(await shareFor(server, FIRST_MS));
    steady.push(await shareFor(server, LOOK_MS));
    look?.destroy();
  }
  const { sent, answered } = await load;
  return { steady: more(steady), first: more(first), answeredShare: answered / sent };
}

/** Percent of a core that `server` takes in the next `ms`. */
async function shareFor(server: Server, ms: number): Promise<number> {
  const sinceMs = performance.now();
  const beforeMs = server.allThreadsMs();
  await pause(ms);
  return ((server.allThreadsMs() - beforeMs) / (performance.now() - sinceMs)) * 100;
}

/** Median of what every second turn takes more than those beside it. */
function more(shares: readonly number[]): number {
  const at = (turn: number): number => shares[turn] as number;
  const looks = shares.map((_, turn) => turn).filter((turn) => turn % 2 === 1);
  return median(looks.map((turn) => at(turn) - (at(turn - 1) + at(turn + 1)) / 2));
}

/** A connection that asks as the command does, and drops what it gets. */
async function looking(path: string, request: object): Promise<Socket> {
  const socket = connect({ path });
  await once(socket, 'connect');
  socket.write(`${JSON.stringify(request)}\n`);
  return socket.resume();
}

/** Percent of a core, of the command on a terminal that script(1) gives it. */
async function commandShare(
  bench: Bench,
  { port, file, socket }: Looked,
  argv: readonly string[],
): Promise<number> {
  const text = [process.execPath, MAIN, ...argv.map((word) => `'${word}'`)].join(' ');
  const command = spawn('taskset', ['-c', String(LOAD_CORE), 'script', '-qfc', text, '/dev/null'], {
    env: { ...process.env, NODENS_ADMIN_SOCKET: socket, TERM: 'vt100' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await pause(COMMAND_MS);
  const beforeMs = runMsOf(command.pid as number);
  const asking = { port, file, qps: QPS, seconds: COMMAND_SECONDS };
  await pace(bench.latencyBinary, asking);
  const share = (runMsOf(command.pid as number) - beforeMs) / (COMMAND_SECONDS * 10);
  const exited = once(command, 'exit');
  command.kill('SIGTERM');
  await exited;
  return share;
}
