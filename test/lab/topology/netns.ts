/** Network namespaces of our own: made, entered, emptied, removed. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { must, type Ran, type RunOptions, run } from './run.ts';

const NAMES = '/run/netns';
const ETC = '/etc/netns';
const PREFIX = 'ndlab';

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
      'net.ipv6.conf.all.accept_dad': 0,
      'net.ipv6.conf.default.accept_dad': 0,
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

  async sysctl(settings: Readonly<Record<string, number>>): Promise<void> {
    const pairs = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
    await this.must(['sysctl', '-qw', ...pairs]);
  }

  /** Gives programs started inside from now on their own `/etc/<file>`. */
  etc(file: string, text: string): void {
    mkdirSync(`${ETC}/${this.name}`, { recursive: true });
    writeFileSync(`${ETC}/${this.name}/${file}`, text);
  }

  /** Ends whatever still runs inside and removes the namespace with its files. */
  async remove(): Promise<void> {
    await removeByName(this.name);
  }
}

/** A name that tells which process made it, so that a later run can sweep what a killed one left. */
export function netnsName(instance: number, role: string): string {
  return `${PREFIX}${process.pid}-${instance}-${role}`;
}

/** Removes namespaces of runs whose process is gone. */
export async function sweepOrphans(): Promise<void> {
  for (const dir of [NAMES, ETC]) {
    if (!existsSync(dir)) continue;
    for (const name of readdirSync(dir)) {
      const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
      if (owner !== undefined && !existsSync(`/proc/${owner}`)) await removeByName(name);
    }
  }
}

async function removeByName(name: string): Promise<void> {
  if (existsSync(`${NAMES}/${name}`)) {
    const inside = await run(['ip', 'netns', 'pids', name]);
    for (const pid of inside.stdout.split(/\s+/).filter(Boolean)) killIfThere(Number(pid));
    await run(['ip', 'netns', 'delete', name]);
  }
  rmSync(`${ETC}/${name}`, { recursive: true, force: true });
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
