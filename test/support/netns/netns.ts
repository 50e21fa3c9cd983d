/** Network namespaces for tests: created with unique names, always removed at the end. Needs root. */
import { execa } from 'execa';

/** Options of every command: it fails loudly and cannot hang a test run. */
const BOUND = { timeout: 120_000, forceKillAfterDelay: 1_000 } as const;

let made = 0;

export interface Netns {
  readonly name: string;
  /** Runs a program inside, with `input` on stdin; resolves to its stdout, rejects where it fails. */
  run(program: string, args: readonly string[], input?: string): Promise<string>;
  /** Starts a program inside and does not wait; `extra` is added to its environment. */
  start(
    program: string,
    args: readonly string[],
    extra?: Readonly<Record<string, string>>,
  ): Started;
}

/** A running program whose output is collected. */
export interface Started {
  readonly pid: number;
  /** The output on stdout and stderr so far. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves to the exit code, undefined where a signal ended it. */
  readonly exited: Promise<number | undefined>;
}

/** Whether this process may make namespaces. */
export function canMakeNetns(): boolean {
  return process.getuid?.() === 0;
}

/** Prints, once and in one line, what a run without root leaves out. */
export function sayLeftOut(what: string): void {
  process.stdout.write(`# left out: ${what} (needs root for network namespaces)\n`);
}

/** Makes as many namespaces as `labels`, `lo` up, passes them to `work`, and deletes them with all processes inside. */
export async function withNetns<const L extends readonly string[]>(
  labels: L,
  work: (...spaces: { [K in keyof L]: Netns }) => Promise<void>,
): Promise<void> {
  const running = new Set<Started>();
  const spaces: Netns[] = [];
  try {
    for (const label of labels) spaces.push(await makeNetns(label, running));
    await work(...(spaces as { [K in keyof L]: Netns }));
  } finally {
    for (const started of running) started.kill('SIGKILL');
    // Before the wait: a child that outlives its parent keeps the output open.
    for (const { name } of spaces) await emptyNetns(name);
    await Promise.all([...running].map((started) => started.exited));
    for (const { name } of spaces) await execa('ip', ['netns', 'del', name], BOUND);
  }
}

/** Children of killed processes may still be inside: a killed init cannot end its monitors. */
async function emptyNetns(name: string): Promise<void> {
  const { stdout } = await execa('ip', ['netns', 'pids', name], BOUND);
  for (const pid of stdout.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has already ended.
    }
  }
}

async function makeNetns(label: string, running: Set<Started>): Promise<Netns> {
  const name = `nodens-${process.pid}-${++made}-${label}`;
  await execa('ip', ['netns', 'add', name], BOUND);
  const inside = ['netns', 'exec', name];
  const space: Netns = {
    name,
    run: async (program, args, input = '') =>
      (await execa('ip', [...inside, program, ...args], { ...BOUND, input })).stdout,
    start: (program, args, extra = {}) => start([...inside, program, ...args], extra, running),
  };
  await space.run('ip', ['link', 'set', 'lo', 'up']);
  // Duplicate address detection would delay IPv6 by a second on every new link.
  await space.run('sysctl', ['-qw', 'net.ipv6.conf.default.accept_dad=0']);
  return space;
}

function start(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  running: Set<Started>,
): Started {
  const child = execa('ip', [...args], { reject: false, all: true, buffer: false, env });
  let text = '';
  child.all.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const started: Started = {
    // `ip netns exec` execs: its pid is the program's.
    pid: child.pid as number,
    output: () => text,
    // Not with execa's `kill`, whose timeout is shorter than a kubelet's.
    kill: (signal) => {
      if (running.has(started)) process.kill(started.pid, signal);
    },
    exited: child.then((result) => {
      running.delete(started);
      return result.exitCode;
    }),
  };
  running.add(started);
  return started;
}

/** A veth pair between two namespaces, both ends up, with these addresses (`10.0.0.1/24`). */
export async function connectNetns(
  a: Netns,
  addressA: string | undefined,
  b: Netns,
  addressB: string | undefined,
): Promise<void> {
  const [linkA, linkB] = [`v${++made}a`, `v${made}b`];
  await a.run('ip', ['link', 'add', linkA, 'type', 'veth', 'peer', 'name', linkB]);
  await a.run('ip', ['link', 'set', linkB, 'netns', b.name]);
  for (const [space, link, address] of [
    [a, linkA, addressA],
    [b, linkB, addressB],
  ] as const) {
    if (address !== undefined) {
      const nodad = address.includes(':') ? ['nodad'] : [];
      await space.run('ip', ['addr', 'add', address, 'dev', link, ...nodad]);
    }
    await space.run('ip', ['link', 'set', link, 'up']);
  }
}

/** Polls `condition` until it holds; throws with `what` after `boundMs`. For conditions that only the kernel's state shows. */
export async function eventually(
  what: string,
  condition: () => Promise<boolean> | boolean,
  boundMs = 30_000,
): Promise<void> {
  const start = process.hrtime.bigint();
  while (!(await condition())) {
    if (process.hrtime.bigint() - start > BigInt(boundMs) * 1_000_000n)
      throw new Error(`not within ${boundMs} ms: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
