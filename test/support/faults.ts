/** Ways in which a node's nodens ends, and what is left of its rules then. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { keepAlive, sleep, systemClock } from '../../agent/base/clock.ts';
import type { Daemon } from '../lab/topology/process.ts';
import type { Running, Site } from '../lab/topology/site.ts';
import type { MemoryGroup } from './memory-group.ts';

/** How often each fault strikes; `npm run chaos` sets it. */
export const ROUNDS = Number(process.env.NODENS_CHAOS_ROUNDS ?? 1);

export interface Fault {
  readonly what: string;
  /** `group` is where the agent's memory is counted. */
  readonly strike: (running: Running, group: MemoryGroup) => Promise<void> | void;
  /** Who does not come back by itself. */
  readonly kills: readonly (keyof Running)[];
}

export const KILLS: readonly Fault[] = [
  { what: 'kill -9 agent', strike: ({ agent }) => agent.signal('SIGKILL'), kills: ['agent'] },
  {
    what: 'kill -9 herald',
    strike: ({ agent }) => void process.kill(childPid(agent, 'comm', 'nodens-herald\n'), 'SIGKILL'),
    kills: [],
  },
  { what: 'kill -9 init', strike: ({ init }) => init.signal('SIGKILL'), kills: ['init'] },
  {
    what: 'kill -9 nft',
    strike: ({ init }) => void process.kill(holderPid(init), 'SIGKILL'),
    kills: [],
  },
  {
    what: 'kill -9 all',
    strike: ({ agent, init }) => {
      const nft = holderPid(init);
      for (const pid of [init.pid, nft, agent.pid]) process.kill(pid, 'SIGKILL');
    },
    kills: ['agent', 'init'],
  },
];

/** The `nft -i` child of init. */
const holderPid = (init: Daemon): number => childPid(init, 'cmdline', 'nft\0-i\0');

/** The child of `parent` of which `file` in /proc says `text`. */
function childPid(parent: Daemon, file: 'comm' | 'cmdline', text: string): number {
  const children = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8');
  const pid = children
    .split(' ')
    .filter(Boolean)
    .find((child) => readFileSync(`/proc/${child}/${file}`, 'utf8') === text);
  assert.ok(pid, `a child with ${file} ${JSON.stringify(text)}`);
  return Number(pid);
}

/** Names of the rules that lead queries to the agent, whichever program has put them. */
export async function queryRules({ cluster }: Site): Promise<string[]> {
  const lists = [['nft', 'list', 'ruleset'], ['iptables-nft-save'], ['iptables-legacy-save']];
  const texts = await Promise.all(lists.map((argv) => cluster.node.run(argv)));
  return texts.flatMap(({ stdout }) =>
    [...stdout.matchAll(/nodens:(query-\w+-\w+)/g)].map((match) => match[1] as string),
  );
}

export async function pause(ms: number): Promise<void> {
  const alive = keepAlive();
  await sleep(systemClock, ms);
  alive.cancel();
}
