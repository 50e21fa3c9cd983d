/**
 * The memory holder of a killed agent (`native/process/memory_holder.c`) becomes a child of the first process of the
 * container, which in drop-in mode is init. It ends by itself. init must take its exit status, or its process id is never
 * free again.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { InitAddon } from '../node/addon.ts';

const MEMORY_HOLDER = 'nodens-mem-hold';

/** Takes the status of every memory holder that has ended as a child of init. */
export function reapChildren(addon: InitAddon | undefined): void {
  if (addon === undefined) return;
  for (const pid of readdirSync('/proc')) {
    if (/^\d+$/.test(pid) && isEndedHolder(statOf(pid))) addon.reap(Number(pid));
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

function isEndedHolder(stat: string): boolean {
  const [, name = '', state, parent] = /^\d+ \((.*)\) (\S) (\d+) /s.exec(stat) ?? [];
  return name === MEMORY_HOLDER && state === 'Z' && Number(parent) === process.pid;
}
