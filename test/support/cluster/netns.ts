/** Network namespaces of our own: made, entered, emptied, removed. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { must, type Ran, type RunOptions, run } from './process/run.ts';

/** Where iproute2 keeps namespaces and their `/etc` files. */
export const NETNS_NAMES = '/run/netns';
export const NETNS_ETC = '/etc/netns';

/** A network namespace and the `/etc` files that programs inside it see. */
export class Netns {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** Makes the namespace with `lo` up. */
  static async create(name: string): Promise<Netns> {
    await must(['ip', 'netns', 'add', name]);
    const netns = new Netns(name);
    await netns.ip('link', 'set', 'lo', 'up');
    // Duplicate address detection would keep v6 addresses unusable for a second.
    await netns.sysctl({
      'net/ipv6/conf/all/accept_dad': 0,
      'net/ipv6/conf/default/accept_dad': 0,
    });
    return netns;
  }

  /** Arguments that run `argv` inside; `ip` replaces itself, so the process started *is* the program. */
  argv(...argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...argv];
  }

  run(argv: readonly string[], options?: RunOptions): Promise<Ran> {
    return run(this.argv(...argv), options);
  }

  must(argv: readonly string[], options?: RunOptions): Promise<string> {
    return must(this.argv(...argv), options);
  }

  ip(...args: readonly string[]): Promise<string> {
    return must(['ip', '-n', this.name, ...args]);
  }

  /** Commands of `ip`, one a line, run by one process; rejects at the first that fails. */
  async ipBatch(commands: readonly string[]): Promise<void> {
    await must(['ip', '-n', this.name, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  }

  /** Sets files below `/proc/sys`, each named by its path. */
  async sysctl(settings: Readonly<Record<string, number>>): Promise<void> {
    const set = (path: string, value: number): string => `echo ${value} > /proc/sys/${path}`;
    const script = Object.entries(settings).map(([path, value]) => set(path, value));
    await this.must(['sh', '-ec', script.join('\n')]);
  }

  /** Programs started inside after this have their own `/etc/<file>`. */
  etc(file: string, text: string): void {
    mkdirSync(`${NETNS_ETC}/${this.name}`, { recursive: true });
    writeFileSync(`${NETNS_ETC}/${this.name}/${file}`, text);
  }

  /** Ends all processes inside and removes the namespace with its files. */
  remove(): void {
    removeNetns(this.name);
  }
}

/** Removes a namespace by name. Synchronous, so that a signal handler can do it at any time. */
export function removeNetns(name: string): void {
  if (existsSync(`${NETNS_NAMES}/${name}`)) {
    const inside = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
    for (const pid of inside.stdout.split(/\s+/).filter(Boolean)) killIfThere(Number(pid));
    spawnSync('ip', ['netns', 'delete', name]);
  }
  rmSync(`${NETNS_ETC}/${name}`, { recursive: true, force: true });
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has already ended.
  }
}
