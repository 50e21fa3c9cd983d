/** Patterns of a Corefile: the engine is loaded for the first one, and their cost is bounded. */
import { ConfigError, messageOf, NodensError, type Place } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Pattern } from '../../base/text/pattern.ts';
import type { compilePattern } from './pattern-engine.ts';
import type { Token } from './types.ts';

let compile: typeof compilePattern | undefined;
/** Instructions of the current configuration's patterns so far. */
let spent = 0;

/** From here on a name of 255 octets may take 10 ms (`LIMITS.patternInstructions`). */
const HEAVY_INSTRUCTIONS = 1_000;

/** A pattern that may take long, however unlikely. */
export interface HeavyPattern {
  readonly place: Place;
  readonly shown: string;
  readonly instructions: number;
}

let heavy: HeavyPattern[] = [];

/** Thrown for a pattern before the engine is loaded. `withPatterns` catches it. */
class EngineMissingError extends NodensError {
  constructor() {
    super('NODENS_PATTERNS', 'the engine of patterns is not loaded yet');
  }
}

/** Loads the engine; a second call does nothing. */
export async function loadPatternEngine(): Promise<void> {
  compile ??= (await import('./pattern-engine.ts')).compilePattern;
}

/** The result of `build`, which runs a second time if it meets a pattern before the engine is loaded. */
export async function withPatterns<Result>(build: () => Result): Promise<Result> {
  try {
    return build();
  } catch (error) {
    if (!(error instanceof EngineMissingError)) throw error;
    await loadPatternEngine();
    return build();
  }
}

/** Runs `build`; the cost of all its patterns together for a query is bounded by LIMITS. */
export function boundingPatterns<Result>(build: () => Result): Result {
  spent = 0;
  heavy = [];
  return build();
}

/** Patterns of the configuration that was built last, if they are accepted but may take long. */
export function heavyPatterns(): readonly HeavyPattern[] {
  return heavy;
}

/**
 * A pattern in the syntax of Go's regexp package. Throws ConfigError for patterns that Go refuses, with Go's reason,
 * and for patterns that could cost a query too much.
 */
export function patternArg(token: Token): Pattern {
  const { place } = token;
  const { patternChars, patternInstructions, allPatternInstructions } = LIMITS;
  const shown = `"${token.text.slice(0, 40)}${token.text.length > 40 ? '…' : ''}"`;
  if (token.text.length > patternChars.max)
    throw new ConfigError(place, `${shown} is a pattern of over ${patternChars.max} characters`);
  const pattern = compiled(token, shown);
  if (pattern.instructions > patternInstructions.max)
    throw new ConfigError(
      place,
      `${shown} needs ${pattern.instructions} steps for each character of a name, more than ` +
        `${patternInstructions.max}: repeat less`,
    );
  const { instructions } = pattern;
  if (instructions >= HEAVY_INSTRUCTIONS) heavy.push({ place, shown, instructions });
  spent += instructions;
  if (spent > allPatternInstructions.max)
    throw new ConfigError(
      place,
      `the patterns up to here need over ${allPatternInstructions.max} steps for each character of a name: ` +
        'use fewer, or rules without a pattern',
    );
  return pattern;
}

function compiled(token: Token, shown: string): ReturnType<typeof compilePattern> {
  if (compile === undefined) throw new EngineMissingError();
  try {
    return compile(token.text);
  } catch (error) {
    const reason = messageOf(error).replace(/^error parsing regexp: /, '');
    throw new ConfigError(token.place, `${shown} is not a regular expression of Go: ${reason}`, {
      cause: error,
    });
  }
}
