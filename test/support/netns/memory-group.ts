/** A memory cgroup (v1 or v2) with a limit, or one in which a test can trigger the OOM killer. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import type { Daemon } from '../cluster/process/process.ts';
import { until } from '../cluster/process/wait.ts';

const V1 = '/sys/fs/cgroup/memory';
const V2 = '/sys/fs/cgroup';
/** The limit is lowered in steps: the kernel refuses a limit that it cannot reach by dropping caches. */
const STEP_BYTES = 64 * 1_024;

interface Files {
  readonly root: string;
  readonly usage: string;
  readonly peak: string;
  readonly limit: string;
  /** Holds a line `oom_kill N`. */
  readonly events: string;
  /** The line, and its file, with the kernel's own memory for the group. */
  readonly kernel: readonly [file: string, line: RegExp];
}

const FILES = ([V1, V2] as const).map((root) => ({
  root,
  usage: root === V1 ? 'memory.usage_in_bytes' : 'memory.current',
  peak: root === V1 ? 'memory.max_usage_in_bytes' : 'memory.peak',
  limit: root === V1 ? 'memory.limit_in_bytes' : 'memory.max',
  events: root === V1 ? 'memory.oom_control' : 'memory.events',
  kernel: (root === V1
    ? ['memory.kmem.usage_in_bytes', /^(\d+)/]
    : ['memory.stat', /^kernel (\d+)$/m]) as Files['kernel'],
}));

function usable(): Files | undefined {
  return FILES.find(({ root }) => {
    const marker = root === V1 ? `${root}/memory.limit_in_bytes` : `${root}/cgroup.subtree_control`;
    if (!existsSync(marker)) return false;
    if (root === V2 && !readFileSync(marker, 'utf8').includes('memory')) return false;
    try {
      accessSync(root, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  });
}

let made = 0;

export class MemoryGroup {
  readonly #files: Files;
  readonly #dir: string;

  private constructor(files: Files) {
    this.#files = files;
    this.#dir = `${files.root}/nodens-test-${process.pid}-${++made}`;
    mkdirSync(this.#dir);
  }

  /** Whether this machine allows a test to create one. */
  static get isPossible(): boolean {
    return usable() !== undefined;
  }

  /** Undefined where this machine allows none. */
  static make(): MemoryGroup | undefined {
    const files = usable();
    return files && new MemoryGroup(files);
  }

  /** Memory that a process and its children allocate from now on counts. */
  add(pid: number): void {
    writeFileSync(`${this.#dir}/cgroup.procs`, `${pid}`);
  }

  /** A command that runs `argv` inside from the start. */
  command(argv: readonly string[]): string[] {
    const enter = `echo $$ > ${this.#dir}/cgroup.procs; exec "$@"`;
    return ['/bin/sh', '-c', enter, 'sh', ...argv];
  }

  /** Sets the memory limit of all processes inside, bytes. */
  limit(bytes: number): void {
    writeFileSync(`${this.#dir}/${this.#files.limit}`, `${bytes}`);
  }

  /** The most memory that it had at any moment, bytes. */
  get peakBytes(): number {
    return Number(this.#read(this.#files.peak));
  }

  /** The memory that it has now, bytes. */
  get usedBytes(): number {
    return Number(this.#read(this.#files.usage));
  }

  /** Number of OOM kills. */
  get oomKills(): number {
    return Number(/^oom_kill (\d+)$/m.exec(this.#read(this.#files.events))?.[1]);
  }

  /** The kernel's own memory for the processes inside: sockets, page tables, bytes. */
  get kernelBytes(): number {
    const [file, line] = this.#files.kernel;
    return Number(line.exec(this.#read(file))?.[1]);
  }

  /** Lowers the limit below the used memory; resolves when the kernel has killed `victim`. */
  async squeeze(victim: Daemon): Promise<void> {
    await until('the kernel to kill for memory', () => {
      if (!victim.running) return true;
      this.#lower();
      return false;
    });
  }

  /** To be called once no process runs inside. */
  async remove(): Promise<void> {
    await until('the memory group to be empty', () => {
      try {
        rmdirSync(this.#dir);
        return true;
      } catch {
        return false;
      }
    });
  }

  #read(file: string): string {
    return readFileSync(`${this.#dir}/${file}`, 'utf8');
  }

  #lower(): void {
    const { usage, limit } = this.#files;
    try {
      for (;;) {
        const bytes = Number(readFileSync(`${this.#dir}/${usage}`, 'utf8')) - STEP_BYTES;
        if (bytes <= 0) return;
        writeFileSync(`${this.#dir}/${limit}`, `${bytes}`);
      }
    } catch {
      // Version 1 returns EBUSY: the limit is the memory in use.
    }
  }
}
