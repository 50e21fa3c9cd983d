/** The functions of Helm and sprig that the chart of nodens uses. */
import { createHash } from 'node:crypto';
import { parse, stringify } from 'yaml';

export type Value = unknown;
type Fn = (...args: readonly Value[]) => Value;

/** False for what Go templates take as empty. */
export function isTrue(value: Value): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === '')
    return false;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

const text = (value: Value): string =>
  value === undefined || value === null ? '' : String(value as string | number | boolean);
const map = (value: Value): Record<string, Value> => value as Record<string, Value>;
const items = (value: Value): readonly Value[] => (value ?? []) as readonly Value[];
const indented = (spaces: Value, value: Value): string =>
  text(value)
    .split('\n')
    .map((line) => ' '.repeat(Number(spaces)) + line)
    .join('\n');

/** `major.minor` of a version or a constraint, as one number. */
function minor(version: string): number {
  const [, major = '0', second = '0'] = /(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) * 1_000 + Number(second);
}

export const FUNCTIONS: Readonly<Record<string, Fn>> = {
  and: (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1),
  append: (list, item) => [...items(list), item],
  concat: (...lists) => lists.flatMap(items),
  default: (fallback, value) => (isTrue(value) ? value : fallback),
  dict: (...pairs) => {
    const made: Record<string, Value> = {};
    for (let at = 0; at < pairs.length; at += 2) made[text(pairs[at])] = pairs[at + 1];
    return made;
  },
  eq: (a, b) => a === b,
  fail: (reason) => {
    throw new Error(text(reason));
  },
  fromYaml: (value) => parse(text(value)) as Value,
  has: (value, list) => items(list).includes(value),
  hasKey: (value, key) => Object.hasOwn(map(value), text(key)),
  index: (value, key) => map(value)[text(key)],
  list: (...args) => args,
  nindent: (spaces, value) => `\n${indented(spaces, value)}`,
  not: (value) => !isTrue(value),
  or: (...args) => args.find((value) => isTrue(value)) ?? args.at(-1),
  printf: (format, ...args) => {
    const rest = [...args];
    return text(format).replaceAll('%s', () => text(rest.shift()));
  },
  quote: (value) => JSON.stringify(text(value)),
  replace: (from, to, value) => text(value).replaceAll(text(from), () => text(to)),
  semverCompare: (constraint, version) => {
    const [, operator = ''] = /^(<)/.exec(text(constraint)) ?? [];
    if (operator !== '<') throw new Error(`semverCompare ${text(constraint)} is not known here`);
    return minor(text(version)) < minor(text(constraint));
  },
  set: (value, key, to) => {
    map(value)[text(key)] = to;
    return value;
  },
  sha256sum: (value) => createHash('sha256').update(text(value)).digest('hex'),
  splitList: (separator, value) => text(value).split(text(separator)),
  ternary: (yes, no, condition) => (isTrue(condition) ? yes : no),
  toJson: (value) => JSON.stringify(value),
  toYaml: (value) => stringify(value, { lineWidth: 0 }).trimEnd(),
  unset: (value, key) => {
    delete map(value)[text(key)];
    return value;
  },
};
