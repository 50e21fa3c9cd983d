/** CPU and heap profiles of this process from V8's samplers, in pprof's format. Loaded at first use. */
import { Session } from 'node:inspector/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  Line,
  Location,
  Function as PprofFunction,
  Profile,
  Sample,
  StringTable,
  ValueType,
} from 'pprof-format';
import { type Clock, sleep } from '../../base/clock.ts';
import { NodensError } from '../../base/errors.ts';
import type { ProfileKind } from '../../query/services/exports.ts';

const compress = promisify(gzip);
/** Bytes allocated between two samples of the heap, the default of V8 and Go. */
const HEAP_INTERVAL_BYTES = 512 * 1024;
/** Interval of CPU samples: 100 a second, as in Go. */
const CPU_INTERVAL_US = 10_000;

const running = new Set<ProfileKind>();

/** Rejects with NodensError while another profile of the same kind is being taken. */
export async function takeProfile(
  kind: ProfileKind,
  seconds: number,
  clock: Clock,
): Promise<Uint8Array> {
  if (running.has(kind)) {
    throw new NodensError('NODENS_PROFILE', `another ${kind} profile is being taken`);
  }
  running.add(kind);
  const session = new Session();
  session.connect();
  try {
    const startMs = clock.wallMs();
    const profile =
      kind === 'cpu' ? await cpu(session, seconds, clock) : await heap(session, seconds, clock);
    profile.timeNanos = BigInt(Math.round(startMs)) * 1_000_000n;
    profile.durationNanos = BigInt(Math.round(seconds * 1e9));
    return await compress(profile.encode());
  } finally {
    session.disconnect();
    running.delete(kind);
  }
}

async function cpu(session: Session, seconds: number, clock: Clock): Promise<Profile> {
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: CPU_INTERVAL_US });
  await session.post('Profiler.start');
  await sleep(clock, seconds * 1_000);
  const { profile } = await session.post('Profiler.stop');
  const builder = new Builder([
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ]);
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children = [] } of profile.nodes)
    for (const child of children) parents.set(child, id);
  for (const { id, hitCount = 0 } of profile.nodes) {
    if (hitCount === 0) continue;
    const stack: Frame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = nodes.get(at)?.callFrame;
      if (frame !== undefined && frame.functionName !== '(root)') stack.push(frame);
    }
    builder.add(stack, [hitCount, hitCount * CPU_INTERVAL_US * 1_000]);
  }
  return builder.profile(['cpu', 'nanoseconds'], CPU_INTERVAL_US * 1_000);
}

async function heap(session: Session, seconds: number, clock: Clock): Promise<Profile> {
  await session.post('HeapProfiler.enable');
  await session.post('HeapProfiler.startSampling', { samplingInterval: HEAP_INTERVAL_BYTES });
  await sleep(clock, seconds * 1_000);
  const { profile } = await session.post('HeapProfiler.stopSampling');
  const builder = new Builder([
    ['inuse_objects', 'count'],
    ['inuse_space', 'bytes'],
  ]);
  const walk = (node: typeof profile.head, above: readonly Frame[]): void => {
    const stack = node.callFrame.functionName === '(root)' ? above : [node.callFrame, ...above];
    if (node.selfSize > 0) {
      builder.add(stack, [Math.ceil(node.selfSize / HEAP_INTERVAL_BYTES), node.selfSize]);
    }
    for (const child of node.children) walk(child, stack);
  };
  walk(profile.head, []);
  return builder.profile(['space', 'bytes'], HEAP_INTERVAL_BYTES);
}

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

type Unit = readonly [type: string, unit: string];

/** Collects stacks, innermost frame first, into the tables of a profile. */
class Builder {
  readonly #strings = new StringTable();
  readonly #units: readonly Unit[];
  readonly #locations = new Map<string, Location>();
  readonly #functions: PprofFunction[] = [];
  readonly #samples: Sample[] = [];

  constructor(units: readonly Unit[]) {
    this.#units = units;
  }

  add(stack: readonly Frame[], value: number[]): void {
    this.#samples.push(
      new Sample({ locationId: stack.map((frame) => this.#location(frame)), value }),
    );
  }

  profile(period: Unit, every: number): Profile {
    return new Profile({
      sampleType: this.#units.map((unit) => this.#valueType(unit)),
      sample: this.#samples,
      location: [...this.#locations.values()],
      function: this.#functions,
      stringTable: this.#strings,
      periodType: this.#valueType(period),
      period: every,
    });
  }

  #valueType([type, unit]: Unit): ValueType {
    return new ValueType({ type: this.#strings.dedup(type), unit: this.#strings.dedup(unit) });
  }

  #location({ functionName, url, lineNumber }: Frame): number {
    const key = `${functionName}\n${url}\n${lineNumber}`;
    const known = this.#locations.get(key);
    if (known !== undefined) return known.id as number;
    const id = this.#locations.size + 1;
    const name = this.#strings.dedup(functionName || '(anonymous)');
    const filename = this.#strings.dedup(url);
    // V8 counts lines from 0.
    const line = lineNumber + 1;
    this.#functions.push(
      new PprofFunction({ id, name, systemName: name, filename, startLine: line }),
    );
    this.#locations.set(key, new Location({ id, line: [new Line({ functionId: id, line })] }));
    return id;
  }
}
