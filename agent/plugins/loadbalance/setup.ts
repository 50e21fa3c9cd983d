/** `loadbalance [round_robin | weighted FILE] { reload D; prefer CIDR… }`: the order of addresses in answers. */
import type { Cidr } from '../../base/address.ts';
import { ConfigError, errnoOf, messageOf } from '../../base/errors.ts';
import {
  argsBetween,
  choiceArg,
  cidrArg,
  durationArg,
  maxArgs,
  minArgs,
  oneArg,
  readOptions,
} from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { balance } from './handler.ts';
import { type Policy, preferring, roundRobin, weighted } from './policies.ts';
import { parseWeights, type Weights } from './weights.ts';

const DEFAULT_RELOAD_MS = 30_000;

/**
 * Throws ConfigError for a weight file that is invalid or unreadable; one that is missing may appear later if it is
 * watched.
 */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const settings = directive.uses.map(readSettings);
  // Of several uses the last policy is effective, and the `prefer` of all, as in CoreDNS.
  const { file, reloadMs } = settings.at(-1) as Settings;
  const prefer = settings.flatMap((one) => one.prefer);
  const withPrefer = (policy: Policy): Policy =>
    prefer.length === 0 ? policy : preferring(policy, prefer);
  if (file === undefined) {
    return { name: 'loadbalance', handle: balance(withPrefer(roundRobin(services.random))) };
  }
  const source = new WeightSource(file, reloadMs, services);
  return {
    name: 'loadbalance',
    handle: balance(withPrefer(weighted(() => source.weights, services.random))),
    start: () => source.start(),
    stop: () => source.stop(),
  };
}

interface Settings {
  /** The weight file; undefined for round_robin. */
  readonly file: Token | undefined;
  readonly reloadMs: number;
  readonly prefer: readonly Cidr[];
}

function readSettings(line: Line): Settings {
  const policy = maxArgs(line, 2)[0];
  const isWeighted =
    policy !== undefined && choiceArg(policy, ['round_robin', 'weighted']) === 'weighted';
  const file = isWeighted ? argsBetween(line, 2, 2)[1] : undefined;
  if (!isWeighted) maxArgs(line, 1);
  let reloadMs = DEFAULT_RELOAD_MS;
  const prefer: Cidr[] = [];
  readOptions(line, {
    reload: (option) => {
      if (!isWeighted) throw new ConfigError(option.name.place, 'reload is for weighted only');
      reloadMs = durationArg(oneArg(option));
    },
    prefer: (option) => prefer.push(...minArgs(option, 1).map(cidrArg)),
  });
  return { file, reloadMs, prefer };
}

/** The current weights, read again when the file changes. */
class WeightSource {
  readonly #file: Token;
  readonly #reloadMs: number;
  readonly #services: Services;
  #watch: { close(): void } | undefined;
  weights: Weights;

  constructor(file: Token, reloadMs: number, services: Services) {
    this.#file = file;
    this.#reloadMs = reloadMs;
    this.#services = services;
    this.weights = this.#readFirst();
  }

  start(): void {
    if (this.#reloadMs === 0) return;
    this.#watch = this.#services.files.watch(this.#file.text, this.#reloadMs, () => this.#again());
  }

  stop(): void {
    this.#watch?.close();
  }

  #read(): Weights {
    const { text } = this.#file;
    return parseWeights(this.#services.files.read(text), text);
  }

  /** A missing file may appear later, if it is watched. */
  #readFirst(): Weights {
    try {
      return this.#read();
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const reason = `weight file ${this.#file.text} cannot be read: ${messageOf(error)}`;
      if (this.#reloadMs === 0 || errnoOf(error) !== 'ENOENT')
        throw new ConfigError(this.#file.place, reason);
      const fields = { event: 'weights-file', file: this.#file.text } as const;
      this.#services.log.warn(fields, `${reason}; every weight is 1 until then`);
      return new Map();
    }
  }

  #again(): void {
    try {
      this.weights = this.#read();
    } catch (error) {
      const file = this.#file.text;
      this.#services.log.warn(
        { event: 'weights-file', file },
        `weight file ${file} is not usable, keeping the old weights: ${messageOf(error)}`,
      );
    }
  }
}
