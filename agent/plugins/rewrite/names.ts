/** Ways to match and replace names. All work on lower-case presentation format with trailing dot. */
import { ConfigError } from '../../base/errors.ts';
import { badValue } from '../../config/corefile/args.ts';
import { patternArg } from '../../config/corefile/pattern.ts';
import type { Token } from '../../config/corefile/types.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Renaming } from './draft.ts';

/** CoreDNS's words for how a name is compared. */
export const MATCHES = ['exact', 'prefix', 'suffix', 'substring', 'regex'] as const;
/** How a name is compared. */
export type Match = (typeof MATCHES)[number];

/** Returns the new name, or undefined if the name does not match. */
export type Replace = (name: string) => string | undefined;
/** Whether a name matches. */
export type Test = (name: string) => boolean;

/** Lower case with a trailing dot. */
export function fullName(token: Token): string {
  const lower = token.text.toLowerCase();
  const text = lower.endsWith('.') ? lower : `${lower}.`;
  checkName(token, text.replace(/^\.(?=.)/, ''));
  return text;
}

function checkName(token: Token, text: string): void {
  try {
    nameFromText(text);
  } catch (error) {
    throw badValue(token, `a domain name: ${(error as Error).message}`);
  }
}

/** Throws ConfigError for an invalid name or pattern, and for an empty substring. */
export function replacer(match: Match, from: Token, to: Token): Replace {
  switch (match) {
    case 'exact':
      return exact(fullName(from), fullName(to));
    case 'suffix':
      return suffix(fullName(from), fullName(to));
    case 'prefix':
      return prefix(from.text.toLowerCase(), to.text.toLowerCase());
    case 'substring':
      return substring(nonEmpty(from), to.text.toLowerCase());
    case 'regex':
      return regex(from, to);
  }
}

/** A name matches if `replacer` with the same `match` would replace it. Throws ConfigError as `replacer`. */
export function tester(match: Match, from: Token): Test {
  if (match === 'regex') {
    const pattern = patternArg(from);
    return (name) => pattern.test(name);
  }
  const replace = replacer(match, from, from);
  return (name) => replace(name) !== undefined;
}

const exact =
  (from: string, to: string): Replace =>
  (name) =>
    name === from ? to : undefined;

/** Literally: `.example.org` requires a label in front, `example.org` also matches the end of `myexample.org`. */
export const suffix =
  (from: string, to: string): Replace =>
  (name) =>
    name.endsWith(from) ? name.slice(0, name.length - from.length) + to : undefined;

const prefix =
  (from: string, to: string): Replace =>
  (name) =>
    name.startsWith(from) ? to + name.slice(from.length) : undefined;

const substring =
  (from: string, to: string): Replace =>
  (name) =>
    name.includes(from) ? name.replaceAll(from, () => to) : undefined;

function nonEmpty(token: Token): string {
  if (token.text === '') throw badValue(token, 'something to look for');
  return token.text.toLowerCase();
}

/** `to`, with `{0}` replaced by the whole match and `{1}` etc. by the groups, becomes the whole name. */
export function regex(from: Token, to: Token): Replace {
  const pattern = patternArg(from);
  const template = to.text.toLowerCase();
  for (const [text, index] of template.matchAll(/\{(\d{1,3})\}/g)) {
    if (Number(index) > pattern.groups)
      throw new ConfigError(
        to.place,
        `${text} in "${to.text}": the pattern has ${pattern.groups} groups`,
      );
  }
  return (name) => {
    const found = pattern.match(name);
    if (found === undefined) return undefined;
    return template.replace(/\{(\d{1,3})\}/g, (_, index: string) => found[Number(index)] ?? '');
  };
}

/** `replace`, if it matches. */
export function whereMatching(replace: Replace): Renaming {
  return (name) => replace(name) ?? name;
}

/** Replaces `from` by `to`, in names below it as well. */
export function remap(from: string, to: string): Renaming {
  return (name) => {
    if (name === from) return to;
    return name.endsWith(`.${from}`) ? name.slice(0, name.length - from.length) + to : name;
  };
}
