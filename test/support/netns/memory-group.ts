/** A memory cgroup of one's own (v1 or v2), with a limit, or in which the kernel's OOM killer can be called up. */
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
/** A step down at a time: the kernel refuses a limit it cannot reach by giving up caches. */
const STEP_BYTES = 64 * 1_024;

interface Files {
  readonly root: string;
  readonly usage: string;
  readonly limit: string;
  /** Holds a line `oom_kill N`. */
  readonly events: string;
  /** What the kernel holds for those inside, and in which line of its file. */
  readonly kernel: readonly [file: string, line: RegExp];
}

const FILES = ([V1, V2] as const).map((root) => ({
  root,
  usage: root === V1 ? 'memory.usage_in_bytes' : 'memory.current',
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

  /** Whether this machine lets a test make one. */
  static get isPossible(): boolean {
    return usable() !== undefined;
  }

  /** Undefined where this machine allows none. */
  static make(): MemoryGroup | undefined {
    const files = usable();
    return files && new MemoryGroup(files);
  }

  /** What a process and its children take from now on counts. */
  add(pid: number): void {
    writeFileSync(`${this.#dir}/cgroup.procs`, `${pid}`);
  }

  /** A command that runs `argv` inside, from its first page on. */
  command(argv: readonly string[]): string[] {
    const enter = `echo $$ > ${this.#dir}/cgroup.procs; exec "$@"`;
    return ['/bin/sh', '-c', enter, 'sh', ...argv];
  }

  /** All that runs inside has no more than this, bytes. */
  limit(bytes: number): void {
    writeFileSync(`${this.#dir}/${this.#files.limit}`, `${bytes}`);
  }

  /** Processes that the kernel has killed for memory. */
  get oomKills(): number {
    return Number(/^oom_kill (\d+)$/m.exec(this.#read(this.#files.events))?.[1]);
  }

  /** What the kernel itself holds for those inside: sockets, page tables, bytes. */
  get kernelBytes(): number {
    const [file, line] = this.#files.kernel;
    return Number(line.exec(this.#read(file))?.[1]);
  }

  /** Puts the limit where memory is used up; resolves when the kernel has killed `victim` for it. */
  async squeeze(victim: Daemon): Promise<void> {
    await until('the kernel to kill for memory', () => {
      if (!victim.running) return true;
      this.#lower();
      return false;
    });
  }

  /** To be called when nothing runs in it any more. */
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
      // Version 1 says EBUSY: what is used now is the limit.
    }
  }
}
