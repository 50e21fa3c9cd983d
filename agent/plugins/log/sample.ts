/** Which queries a rule logs, decided before they are answered. */
import { badValue } from '../../config/corefile/args.ts';
import type { Token } from '../../config/corefile/types.ts';

const MAX_OF = 1_000_000;

/** A random one of every `of` queries. */
export class Sample {
  readonly of: number;
  readonly #random: () => number;
  #countdown: number;

  /** `random` is uniform in [0, 1). */
  constructor(of: number, random: () => number) {
    this.of = of;
    this.#random = random;
    this.#countdown = this.#gap();
  }

  /** Whether the next query is in the sample. Called for each query: it counts down. */
  takes(): boolean {
    if (--this.#countdown > 0) return false;
    this.#countdown = this.#gap();
    return true;
  }

  /** From 1 to 2·of − 1. With equal gaps, clients that ask for A and AAAA in turn would show only one of them. */
  #gap(): number {
    return 1 + Math.floor(this.#random() * (2 * this.of - 1));
  }
}

/** N of `1/N`. Throws ConfigError. */
export function sampleArg(token: Token): number {
  const of = Number(/^1\/([1-9]\d{0,6})$/.exec(token.text)?.[1]);
  if (of <= MAX_OF) return of;
  throw badValue(token, `a share from 1/1 to 1/${MAX_OF}, like 1/100`);
}
