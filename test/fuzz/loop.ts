/** The search for inputs that break a target, guided by code coverage. */
import { Coverage } from './coverage.ts';
import { Chance, mutated } from './mutate.ts';

/** One reader of foreign input. */
export interface Target {
  readonly seeds: readonly Buffer[];
  /** Tokens of its input language. */
  readonly words?: readonly string[];
  readonly maxBytes?: number;
  /** Throws where the reader mishandles the input. */
  readonly run: (input: Buffer) => void;
}

export interface SearchOptions {
  /** The same seed makes the same inputs. */
  readonly seed: number;
  /** The end of a search: CPU time of this thread, or number of inputs. */
  readonly cpuSeconds?: number;
  readonly executions?: number;
  /** Called with each input before it is run. */
  readonly onInput?: (input: Buffer) => void;
}

export interface Finding {
  readonly input: Buffer;
  readonly error: unknown;
}

export interface Figures {
  readonly executions: number;
  /** Bytes of sources that the seeds reached, and that all inputs reached. */
  readonly seedBytes: number;
  readonly bytes: number;
  /** Inputs kept because they reached new code, seeds included. */
  readonly corpus: number;
  readonly findings: readonly Finding[];
}

const MAX_BYTES = 4_096;
/** Inputs between two reads of the coverage, each of which costs 2 ms: few while much is new. */
const BATCH = { least: 16, most: 2_048 };
/** Further findings of one target are mostly known ones. */
const MAX_FINDINGS = 10;

export class Search {
  readonly #target: Target;
  readonly #corpus: Buffer[];
  readonly #words: readonly Buffer[];
  readonly #chance: Chance;
  readonly #options: SearchOptions;
  /** By the place of the error. */
  readonly #findings = new Map<string, Finding>();
  #executions = 0;

  constructor(target: Target, options: SearchOptions) {
    this.#options = options;
    this.#target = target;
    this.#corpus = [...target.seeds];
    this.#words = (target.words ?? []).map((word) => Buffer.from(word));
    this.#chance = new Chance(options.seed);
  }

  /** Runs the seeds, and `count` inputs made from them: no coverage, no clock, the same each time. */
  repeat(count: number): readonly Finding[] {
    for (const seed of this.#corpus) this.#run(seed);
    for (let i = 0; i < count; i++) this.#run(this.#next());
    return [...this.#findings.values()];
  }

  /** Searches until its time is used up, or it has enough findings. */
  search(): Figures {
    const coverage = new Coverage();
    for (const seed of this.#corpus) this.#run(seed);
    coverage.learn();
    const seedBytes = coverage.bytes;
    let size = BATCH.least;
    const { cpuSeconds = 1e9, executions: most = 1e15 } = this.#options;
    const endMicros = cpuMicros() + cpuSeconds * 1e6;
    const isOver = (): boolean => cpuMicros() >= endMicros || this.#executions >= most;
    while (!isOver() && this.#findings.size < MAX_FINDINGS) {
      const batch = Array.from({ length: size }, () => this.#next());
      for (const input of batch) this.#run(input);
      if (coverage.isNew()) {
        this.#keepNew(batch, coverage);
        size = BATCH.least;
      } else size = Math.min(BATCH.most, size * 2);
    }
    const { bytes } = coverage;
    coverage.close();
    const findings = [...this.#findings.values()];
    return {
      ...{ executions: this.#executions, seedBytes, bytes },
      ...{ corpus: this.#corpus.length, findings },
    };
  }

  /** Finds the inputs of a batch that reach new code, by bisection. */
  #keepNew(batch: readonly Buffer[], coverage: Coverage): void {
    const isNew = (inputs: readonly Buffer[]): boolean => {
      for (const input of inputs) this.#run(input);
      return coverage.isNew();
    };
    let rest = batch;
    while (rest.length > 0 && isNew(rest)) {
      let [without, within] = [0, rest.length];
      while (within - without > 1) {
        const middle = (without + within) >> 1;
        if (isNew(rest.slice(0, middle))) within = middle;
        else without = middle;
      }
      const found = rest[within - 1] as Buffer;
      this.#run(found);
      coverage.learn();
      this.#corpus.push(found);
      rest = rest.slice(within);
    }
  }

  #next(): Buffer {
    const maxBytes = this.#target.maxBytes ?? MAX_BYTES;
    return mutated(this.#chance, { corpus: this.#corpus, words: this.#words, maxBytes });
  }

  #run(input: Buffer): void {
    this.#executions++;
    this.#options.onInput?.(input);
    try {
      this.#target.run(Buffer.from(input));
    } catch (error) {
      const place = placeOf(error);
      if (!this.#findings.has(place)) this.#findings.set(place, { input, error });
    }
  }
}

/** Errors of one place are one finding. */
function placeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return /^\s+at .*$/m.exec(stack)?.[0] ?? stack;
}

function cpuMicros(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}
