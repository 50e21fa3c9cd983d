/**
 * Reads a directive's arguments and options. Every plugin's setup uses these functions, so that all refuse bad input in
 * the same words. Each throws ConfigError at the position of the offending token.
 */
import { type Cidr, familyOf, parseCidr } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
import type { AgentEvent } from '../../base/events/table.ts';
import {
  formatDuration,
  parseDurationMs,
  parseSecondsOrDurationMs,
} from '../../base/text/duration.ts';
import { suggestion } from '../../base/text/nearest.ts';
import { expandZone } from './keys.ts';
import type { Block, Directive, Line, Token } from './types.ts';

/** The error for a value that is not `what`, for checks of a single plugin. */
export function badValue(token: Token, what: string): ConfigError {
  return new ConfigError(token.place, `"${token.text}" is not ${what}`);
}

/** The single use of a directive that is allowed once per server block. */
export function onlyUse(directive: Directive): Line {
  const [first, second] = directive.uses;
  if (second === undefined) return first as Line;
  const before = `${directive.place.file}:${directive.place.line}`;
  throw new ConfigError(
    second.name.place,
    `${directive.name} is allowed once per server block and is already at ${before}: merge the two`,
  );
}

/** Where a setup reports settings that are valid but misleading. */
export interface WarningLog {
  warn(fields: { readonly event: AgentEvent; readonly directive?: string }, message: string): void;
}

/**
 * The effective use of a directive that may be repeated, as `import *.override` does, but of which CoreDNS reads only
 * the first. A warning lists the others.
 */
export function firstUse(directive: Directive, log: WarningLog): Line {
  const [first, ...others] = directive.uses as readonly [Line, ...Line[]];
  for (const { name } of others) {
    const ignored = `second ${directive.name} in this server block: ignored, the one at ${placed(first)} is used`;
    const fields = { event: 'corefile-warning', directive: directive.name } as const;
    log.warn(fields, `${name.place.file}:${name.place.line}: ${ignored}`);
  }
  return first;
}

function placed({ name: { place } }: Line): string {
  return `${place.file}:${place.line}`;
}

/** For a directive without arguments or braces. */
export function bare(line: Line): void {
  noArgs(line);
  noBody(line);
}

/** Refuses braces after a directive, unless they are empty, as in CoreDNS. */
export function noBody(line: Line): void {
  if (line.body?.length !== 0) noBraces(line);
}

/** Refuses braces after an option. */
export function noBraces(line: Line): void {
  if (line.body !== undefined)
    throw new ConfigError(line.name.place, `${line.name.text} takes no braces: remove them`);
}

/** Arguments of `line`, checked to be from `min` to `max`. */
export function argsBetween(line: Line, min: number, max: number): readonly Token[] {
  const { name, args } = line;
  if (args.length < min)
    throw new ConfigError(
      name.place,
      `${name.text} needs ${atLeast(min, max)}, got ${args.length}`,
    );
  const extra = args[max];
  if (extra === undefined) return args;
  const takes = max === 0 ? 'no argument' : `at most ${counted(max)}`;
  throw new ConfigError(extra.place, `${name.text} takes ${takes}: remove "${extra.text}"`);
}

function atLeast(min: number, max: number): string {
  return min === max ? counted(min) : `at least ${counted(min)}`;
}

function counted(count: number): string {
  return count === 1 ? 'one argument' : `${count} arguments`;
}

/** Throws ConfigError at the first argument, if there is one. */
export function noArgs(line: Line): void {
  argsBetween(line, 0, 0);
}

/** The only argument of `line`. Throws ConfigError if it is missing or has another after it. */
export function oneArg(line: Line): Token {
  return argsBetween(line, 1, 1)[0] as Token;
}

/** Arguments of `line`, possibly none. Throws ConfigError at the first one after `max`. */
export function maxArgs(line: Line, max: number): readonly Token[] {
  return argsBetween(line, 0, max);
}

/** Arguments of `line`. Throws ConfigError at its name if there are fewer than `min`. */
export function minArgs(line: Line, min: number): readonly Token[] {
  return argsBetween(line, min, Number.POSITIVE_INFINITY);
}

/** Handlers of the options in a directive's braces, by name. */
export type Options = Readonly<Record<string, (option: Line) => void>>;

/**
 * Runs the handler of every line in `line`'s braces, in order; refuses unknown names and nested braces. With `anyCase`
 * names match in any letter case.
 */
export function readOptions(line: Line, options: Options, anyCase = false): void {
  for (const option of line.body ?? []) {
    const { text, place } = anyCase ? lowerCase(option.name) : option.name;
    const handler = Object.hasOwn(options, text) ? options[text] : undefined;
    if (handler === undefined) {
      const hint = suggestion(text, Object.keys(options));
      throw new ConfigError(place, `unknown option "${text}" of ${line.name.text}: ${hint}`);
    }
    noBraces(option);
    handler(option);
  }
}

/** Inclusive limits; an absent one does not limit. */
export interface NumberRange {
  readonly min?: number;
  readonly max?: number;
}

/** A whole number in `range`; without limits in `range`, any. */
export function intArg(token: Token, range: NumberRange = {}): number {
  const value = /^[+-]?\d+$/.test(token.text) ? Number(token.text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw badValue(token, 'a whole number');
  return inRange(token, value, range, String);
}

/** A percentage with its sign (`10%`), as a whole number of percent. */
export function percentArg(token: Token, range: NumberRange): number {
  if (!/^\d{1,9}%$/.test(token.text)) throw badValue(token, 'a percentage like 10%');
  return inRange(token, Number(token.text.slice(0, -1)), range, (value) => `${value}%`);
}

/** Inclusive limits in milliseconds. Without `minMs` 0 is allowed. */
export interface DurationRange {
  readonly minMs?: number;
  readonly maxMs?: number;
  /** Whether a number without a unit means seconds; otherwise it is refused, as in CoreDNS. */
  readonly bareSeconds?: boolean;
}

/** Milliseconds of a duration like `1h30m`; never negative, whatever `range` allows. */
export function durationArg(token: Token, range: DurationRange = {}): number {
  const parse = range.bareSeconds === true ? parseSecondsOrDurationMs : parseDurationMs;
  const ms = parse(token.text);
  if (ms === undefined) throw badValue(token, 'a duration like 30s, 5m or 1h30m');
  const { minMs: min = 0, maxMs: max = Number.POSITIVE_INFINITY } = range;
  return inRange(token, ms, { min, max }, formatDuration);
}

function inRange(
  token: Token,
  value: number,
  { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }: NumberRange,
  print: (value: number) => string,
): number {
  if (value < min)
    throw new ConfigError(token.place, `"${token.text}" is too little: at least ${print(min)}`);
  if (value > max)
    throw new ConfigError(token.place, `"${token.text}" is too much: at most ${print(max)}`);
  return value;
}

/** `token` in lower case: for words that CoreDNS accepts in any letter case. */
export function lowerCase<Word extends Token>(token: Word): Word {
  return { ...token, text: token.text.toLowerCase() };
}

/** One of a few words. */
export function choiceArg<Choice extends string>(token: Token, choices: readonly Choice[]): Choice {
  const found = choices.find((choice) => choice === token.text);
  if (found !== undefined) return found;
  throw new ConfigError(token.place, `unknown "${token.text}": ${suggestion(token.text, choices)}`);
}

/** A network; a bare address means its host network. */
export function cidrArg(token: Token): Cidr {
  const cidr = parseCidr(token.text);
  if (cidr === undefined) throw badValue(token, 'a network like 10.0.0.0/8 or fd00::/8');
  return cidr;
}

/** Listening address of an HTTP endpoint. `host` '' is every address; port 0 lets the kernel choose. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

/** `:8080`, `localhost:9153`, `127.0.0.1:9253` or `[fd00::10]:8080`; `unix:/path` is a socket in the file system. */
export function listenArg(token: Token): ListenAddress {
  const path = /^unix:(\/.{1,106})$/.exec(token.text)?.[1];
  if (path !== undefined) return { path };
  const match = /^(?:\[([^\]]+)\]|([^:[\]/]*)):(\d{1,5})$/.exec(token.text);
  const bracketed = match?.[1];
  const port = Number(match?.[3] ?? Number.NaN);
  if (!(port <= 65_535) || (bracketed !== undefined && familyOf(bracketed) !== 6))
    throw badValue(
      token,
      'an address with a port like :8080, 127.0.0.1:8080 or [fd00::10]:8080, or unix:/path',
    );
  return { host: bracketed ?? (match?.[2] as string), port };
}

/** Zones of a directive, lower case with trailing dots, networks as reverse zones; without any, the block's own. */
export function zonesOf(tokens: readonly Token[], block: Block): string[] {
  if (tokens.length === 0) return blockZones(block);
  return [...new Set(tokens.flatMap((token) => expandZone(token.text, token.place)))];
}

/** Zones of a block's keys, each once. */
function blockZones(block: Block): string[] {
  return [...new Set(block.keys.map((key) => key.zone))];
}

/** Name of a block's view, as metrics label it; '' if it has none. */
export function viewOf(block: Block): string {
  const view = block.directives.find((directive) => directive.name === 'view');
  return view?.uses[0]?.args[0]?.text ?? '';
}
