/** Values and functions of templates: the part of Go's text/template that makes records. */

/** Undefined is what Go prints as `<no value>`. Numbers are whole. */
export type Value =
  | string
  | number
  | boolean
  | undefined
  | readonly Value[]
  | ReadonlyMap<string, Value>
  | TemplateFunction;

/** A function that a template calls. It throws TemplateError for arguments that it does not take. */
export type TemplateFunction = (...args: Value[]) => Value;

/** Thrown while a template is evaluated. */
export class TemplateError extends Error {}

/** In Go's format. */
export function printed(value: Value): string {
  if (value === undefined) return '<no value>';
  if (typeof value === 'function') throw new TemplateError('a function needs its arguments');
  if (typeof value !== 'object') return String(value);
  if (value instanceof Map) {
    const pairs = [...value].sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${pairs.map(([key, held]) => `${key}:${printed(held as Value)}`).join(' ')}]`;
  }
  return `[${(value as readonly Value[]).map(printed).join(' ')}]`;
}

/** Go's truth: anything but empty and zero values. */
export function isTrue(value: Value): boolean {
  if (value instanceof Map) return value.size > 0;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function lengthOf(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (value instanceof Map) return value.size;
  if (Array.isArray(value)) return value.length;
  throw new TemplateError(`len of ${printed(value)}`);
}

function index(value: Value, ...keys: Value[]): Value {
  return keys.reduce((held, key) => at(held, key), value);
}

function at(held: Value, key: Value): Value {
  if (held instanceof Map) return (held as ReadonlyMap<string, Value>).get(printed(key)) ?? '';
  const isList = Array.isArray(held) || typeof held === 'string';
  if (!isList || typeof key !== 'number') throw new TemplateError('index of what is no list');
  if (key < 0 || key >= held.length) throw new TemplateError(`index ${key} is out of range`);
  return typeof held === 'string' ? held.charCodeAt(key) : (held as readonly Value[])[key];
}

function slice(value: Value, from: Value = 0, to: Value = undefined): Value {
  if (typeof value !== 'string' && !Array.isArray(value))
    throw new TemplateError('slice of no list');
  const end = to ?? value.length;
  if (
    typeof from !== 'number' ||
    typeof end !== 'number' ||
    from < 0 ||
    from > end ||
    end > value.length
  )
    throw new TemplateError('slice is out of range');
  return value.slice(from, end);
}

/** `parseInt STRING BASE BITS`: Go's strconv.ParseUint. */
function parseUint(text: Value, base: Value, bits: Value): Value {
  const value =
    typeof text === 'string' && typeof base === 'number' ? unsigned(text, base) : Number.NaN;
  if (!(value < 2 ** Math.min(typeof bits === 'number' && bits > 0 ? bits : 64, 53)))
    throw new TemplateError(`parseInt: "${printed(text)}" is no number of that base and size`);
  return value;
}

function unsigned(text: string, base: number): number {
  const digits = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, base);
  const lower = text.toLowerCase();
  if (lower === '' || [...lower].some((digit) => !digits.includes(digit))) return Number.NaN;
  return [...lower].reduce((sum, digit) => sum * base + digits.indexOf(digit), 0);
}

function compare(a: Value, b: Value): number {
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string'))
    throw new TemplateError(`${printed(a)} and ${printed(b)} cannot be compared`);
  if (a === b) return 0;
  return a < (b as typeof a) ? -1 : 1;
}

function equal(a: Value, b: Value): boolean {
  if (typeof a !== typeof b)
    throw new TemplateError(`${printed(a)} and ${printed(b)} differ in type`);
  return a === b;
}

/** `fmt.Sprintf`, for strings and whole numbers. */
function printf(format: Value, ...args: Value[]): string {
  const left = [...args];
  return printed(format).replace(
    /%([-0+ ]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/g,
    (all, flags, width, precision, verb) => {
      if (verb === '%') return '%';
      if (left.length === 0) return `%!${verb}(MISSING)`;
      const text = formatted(all, verb, left.shift(), precision);
      return padded(text, flags, Number(width));
    },
  );
}

const RADIX: Readonly<Record<string, number>> = { d: 10, x: 16, X: 16, o: 8, b: 2 };

function formatted(all: string, verb: string, value: Value, precision: string | undefined): string {
  if (verb === 'q') return JSON.stringify(printed(value));
  if (verb === 's' || verb === 'v')
    return precision === undefined ? printed(value) : printed(value).slice(0, Number(precision));
  if (verb === 'c' && typeof value === 'number') return String.fromCodePoint(value);
  const radix = RADIX[verb];
  if (radix === undefined) throw new TemplateError(`printf does not know ${all}`);
  if (typeof value === 'string' && radix === 16)
    return cased(Buffer.from(value).toString('hex'), verb);
  if (typeof value !== 'number') return `%!${verb}(${printed(value)})`;
  return cased(value.toString(radix), verb);
}

const cased = (text: string, verb: string): string => (verb === 'X' ? text.toUpperCase() : text);

/** Fields wider than any name only waste memory. */
const MAX_WIDTH = 1_024;

function padded(text: string, flags: string, width: number): string {
  const columns = Math.min(width, MAX_WIDTH);
  if (flags.includes('-')) return text.padEnd(columns);
  return text.padStart(columns, flags.includes('0') ? '0' : ' ');
}

/** As `fmt.Sprint`: a blank between two values neither of which is a string. */
function print(...args: Value[]): string {
  return args.reduce<string>((text, value, at) => {
    const spaced = at > 0 && typeof value !== 'string' && typeof args[at - 1] !== 'string';
    return `${text}${spaced ? ' ' : ''}${printed(value)}`;
  }, '');
}

/** By name: a part of those of Go's text/template, and CoreDNS's `parseInt`. */
export const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['and', (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1)],
  ['or', (...args) => args.find(isTrue) ?? args.at(-1)],
  ['not', (value) => !isTrue(value)],
  ['eq', (first, ...others) => others.some((other) => equal(first, other))],
  ['ne', (a, b) => !equal(a, b)],
  ['lt', (a, b) => compare(a, b) < 0],
  ['le', (a, b) => compare(a, b) <= 0],
  ['gt', (a, b) => compare(a, b) > 0],
  ['ge', (a, b) => compare(a, b) >= 0],
  ['index', index],
  ['slice', slice],
  ['len', lengthOf],
  ['print', print],
  ['println', (...args) => `${args.map(printed).join(' ')}\n`],
  ['printf', printf],
  ['parseInt', parseUint],
]);
