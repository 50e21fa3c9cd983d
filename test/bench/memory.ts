/** What nodens takes on each node, beside its goals: memory of agent and init, and the time to the first answer. */
import { setTimeout } from 'node:timers/promises';
import { withRoom } from '../support/netns/init.ts';
import { MemoryGroup } from '../support/netns/memory-group.ts';
import { canMakeNetns, eventually } from '../support/netns/netns.ts';
import { type Memory, memoryOf } from './process.ts';
import { MAIN } from './programs/compile.ts';
import { type Bench, footprint, startMs } from './rounds.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { nodens, type Subject } from './subjects.ts';

/** A measured figure, and the most that it may be. */
export interface MeasuredGoal {
  readonly what: string;
  readonly unit: 'MB' | 'ms' | '%';
  readonly measured: number;
  readonly most: number;
}

const MEBI = 2 ** 20;
/** Of the manifests: the agent sizes its heap for it. */
const AGENT_LIMIT_BYTES = 128 * MEBI;
const FEW_NAMES = 1_000;
const STARTS = 15;
const FEW_NAMES_SECONDS = 3;
/** init's heap grows between its collections: the most of these looks counts, a second apart. */
const INIT_LOOKS = 30;
/** Both release pages every 5 s. */
const SETTLE_MS = 6_000;

/** All goals that this machine can measure: a memory limit needs a writable cgroup, and init a namespace. */
export async function memoryGoals(bench: Bench): Promise<MeasuredGoal[]> {
  const goals = await inGroup(nodens('nodens-goals', {}), (agent) => agentGoals(bench, agent));
  if (canMakeNetns()) goals.push(...(await initGoals(bench)));
  return goals;
}

/** Of these only the start. */
export async function startGoals(bench: Bench): Promise<MeasuredGoal[]> {
  return inGroup(nodens('nodens-goals', {}), async (agent) => [await startGoal(bench, agent)]);
}

/** Runs `agent` with the memory limit of the manifests, where this machine can. */
export async function inGroup<Result>(
  agent: Subject,
  work: (agent: Subject) => Promise<Result>,
): Promise<Result> {
  const group = MemoryGroup.make();
  if (group === undefined) return work(agent);
  group.limit(AGENT_LIMIT_BYTES);
  const command: Subject['command'] = (place) => {
    const { argv, ...rest } = agent.command(place);
    return { argv: group.command(argv), ...rest };
  };
  try {
    return await work({ ...agent, command });
  } finally {
    await group.remove();
  }
}

async function agentGoals(bench: Bench, agent: Subject): Promise<MeasuredGoal[]> {
  bench.say('memory goals: agent');
  const many = SCENARIOS.find(({ name }) => name === 'zipf') as Scenario;
  const few: Scenario = {
    ...many,
    name: 'few-names',
    questions: () => Array.from({ length: FEW_NAMES }, (_, i) => `host-${i}.example.org. A`),
  };
  const warm = await footprint({ ...bench, soakSeconds: FEW_NAMES_SECONDS }, agent, few, SETTLE_MS);
  const full = await footprint(bench, agent, many, SETTLE_MS);
  const after = `agent, 10,000 names, ${bench.soakSeconds} s of full load`;
  return [
    ...megabytes('agent, 1,000 names', warm, { anonymous: 24, rss: 52 }),
    ...megabytes(after, full, { anonymous: 28 }),
    await startGoal(bench, agent),
  ];
}

/** From the execution of what the image runs to the first answer for a client that asks every millisecond. */
async function startGoal(bench: Bench, agent: Subject): Promise<MeasuredGoal> {
  bench.say('start of the agent');
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) times.push(await startMs(bench, agent));
  const measured = times.toSorted((a, b) => a - b)[STARTS >> 1] as number;
  const what = `agent, start to first answer, median of ${STARTS}`;
  return { what, unit: 'ms', measured, most: 120 };
}

async function initGoals(bench: Bench): Promise<MeasuredGoal[]> {
  bench.say('memory goals: init');
  let found: Memory = { rssMb: 0, anonymousMb: 0 };
  await withRoom(async ({ node, args }) => {
    const init = node.start(process.execPath, [MAIN, 'init', ...args]);
    await eventually('set up', () => init.output().includes('"msg":"set up"'));
    await setTimeout(2 * SETTLE_MS);
    for (let i = 0; i < INIT_LOOKS; i++) {
      await setTimeout(1_000);
      found = highest(found, memoryOf(init.pid));
    }
  });
  return megabytes('init and its children', found, { anonymous: 15, rss: 55 });
}

function highest(one: Memory, other: Memory): Memory {
  return {
    rssMb: Math.max(one.rssMb, other.rssMb),
    anonymousMb: Math.max(one.anonymousMb, other.anonymousMb),
  };
}

function megabytes(
  what: string,
  { rssMb, anonymousMb }: Memory,
  most: { readonly anonymous: number; readonly rss?: number },
): MeasuredGoal[] {
  const { anonymous, rss } = most;
  return [
    { what: `${what}: anonymous`, unit: 'MB', measured: anonymousMb, most: anonymous },
    ...(rss === undefined
      ? []
      : [{ what: `${what}: RSS`, unit: 'MB', measured: rssMb, most: rss } as const]),
  ];
}
