/**
 * Companions of killed agents (`native/process/companion.h`) fall to the first process of the container, which in drop-in
 * mode is init. They end by themselves; their exit status must be taken, or each would keep a process id for ever.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { InitAddon } from '../node/addon.ts';

const COMPANIONS = ['nodens-keeper', 'nodens-herald'];

/** Takes the status of every companion that has ended as a child of ours. */
export function reapOrphans(addon: InitAddon | undefined): void {
  if (addon === undefined) return;
  for (const pid of readdirSync('/proc')) {
    if (/^\d+$/.test(pid) && isEndedCompanion(statOf(pid))) addon.reap(Number(pid));
  }
}

/** `stat` as proc(5) has it; '' for a process that has gone meanwhile. */
function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return '';
  }
}

function isEndedCompanion(stat: string): boolean {
  const [, name = '', state, parent] = /^\d+ \((.*)\) (\S) (\d+) /s.exec(stat) ?? [];
  return COMPANIONS.includes(name) && state === 'Z' && Number(parent) === process.pid;
}
