/** Names that contain the id of their process, so that the remains of a killed run can be found and removed. */
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { NETNS_ETC, NETNS_NAMES, removeNetns } from './netns.ts';

const PREFIX = 'nodens-lab-';
const OWNER = /^nodens-lab-(\d+)-/;

export function netnsName(instance: number, role: string): string {
  return `${PREFIX}${process.pid}-${instance}-${role}`;
}

/** A fresh directory that every user may enter. */
export function makeRunDir(): string {
  const dir = mkdtempSync(`${tmpdir()}/${PREFIX}${process.pid}-`);
  chmodSync(dir, 0o755);
  return dir;
}

/** Removes the remains of runs whose process has ended. */
export function sweepOrphans(): void {
  sweep((pid) => !existsSync(`/proc/${pid}`));
}

/** Removes everything that this process made. */
export function sweepOwn(): void {
  sweep((pid) => pid === process.pid);
}

function sweep(isOurs: (pid: number) => boolean): void {
  const owned = (dir: string): string[] =>
    (existsSync(dir) ? readdirSync(dir) : []).filter((name) => {
      const owner = OWNER.exec(name)?.[1];
      return owner !== undefined && isOurs(Number(owner));
    });
  for (const name of new Set([NETNS_NAMES, NETNS_ETC].flatMap(owned))) removeNetns(name);
  for (const name of owned(tmpdir())) {
    rmSync(`${tmpdir()}/${name}`, { recursive: true, force: true, maxRetries: 3 });
  }
}
