/** References in a text of the tree, and those that do not resolve. */
import { posix } from 'node:path';

export interface Tree {
  /** Whether a path, or a pattern with `*`, matches something; paths are relative to the root. */
  readonly has: (path: string) => boolean;
  /** Text of a markdown page. */
  readonly read: (path: string) => string;
}

/** Documents that are not in the tree, in halves, so that this file does not refer to them. */
const OUTSIDE: readonly (readonly [pattern: RegExp, fix: string])[] = [
  [new RegExp(`\\bdesign${'(\\.md)?'} ?\\u00a7`), 'write it here, or link to a page of docs/'],
  [new RegExp(`\\bthe ${'peer'}\\b(?!-)|\\b${'peer'} behaviou?r`, 'i'), 'name it'],
  [new RegExp(`\\bcomplaint ${'\\d'}`), 'name the topic'],
  [
    new RegExp(`\\.\\./${'shared'}/|\\b${'peer'}-spec\\b|\\b${'users'}\\.md\\b`),
    'put it into docs/',
  ],
];
/** Documents with a number that a section sign may belong to. */
const NUMBERED = /RFC \d+|draft-[\w-]+|service discovery \d/;
/** Characters before a section sign in which the document must be named. */
const NAMED_WITHIN = 700;
const DOCS_PATH = /(?<![\w./-])docs\/[\w./*-]*[\w*/]/g;
const LINK = /\]\(([^()\s]+)\)/g;
const QUOTED_PATH =
  /`((?:agent|init|native|test|docs|manifests|deploy|examples)\/[\w./*-]*[\w*/]|(?:README|CONTRIBUTING|SECURITY|CHANGELOG)\.md)`/g;

/** Problems of `text`, one line each. */
export function brokenReferences(file: string, text: string, tree: Tree): string[] {
  const isPage = file.endsWith('.md');
  return [
    ...outside(text),
    ...sections(text),
    ...missing(text, DOCS_PATH, 0, tree),
    ...(isPage ? [...missing(text, QUOTED_PATH, 1, tree), ...links(file, text, tree)] : []),
  ].map((fault) => `${file}: ${fault}`);
}

function outside(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) =>
      OUTSIDE.filter(([pattern]) => pattern.test(line)).map(([, fix]) => `${line.trim()} (${fix})`),
    );
}

function sections(text: string): string[] {
  return Array.from(text.matchAll(/\u00a7[\w.]*/g)).flatMap(({ index, 0: section }) =>
    NUMBERED.test(text.slice(Math.max(0, index - NAMED_WITHIN), index))
      ? []
      : [`${section} of which document? (name the RFC before it)`],
  );
}

function missing(text: string, pattern: RegExp, group: number, tree: Tree): string[] {
  const paths = Array.from(text.matchAll(pattern), (match) => match[group] as string);
  return [...new Set(paths)]
    .filter((path) => !tree.has(path))
    .map((path) => `${path} does not exist`);
}

function links(file: string, text: string, tree: Tree): string[] {
  const targets = Array.from(withoutCode(text).matchAll(LINK), ([, target]) => target as string);
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .flatMap((target) => linkFault(file, text, target, tree) ?? []);
}

/** Without text that only looks like a link: code between backticks, and indented or fenced code. */
function withoutCode(text: string): string {
  return text
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/^ {4}.*$/gm, '')
    .replace(/`[^`\n]*`/g, '');
}

function linkFault(file: string, text: string, target: string, tree: Tree): string | undefined {
  const [path = '', anchor] = target.split('#');
  const page = path === '' ? file : posix.join(posix.dirname(file), path);
  if (!tree.has(page)) return `link to ${target}: ${page} does not exist`;
  if (anchor === undefined || anchorsOf(path === '' ? text : tree.read(page)).has(anchor)) return;
  return `link to ${target}: ${page} has no such heading`;
}

/** Anchors as forges derive them from headings. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of page.matchAll(/^#{1,6} (.+)$/gm)) {
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    for (let i = 0; ; i++) {
      const numbered = i === 0 ? anchor : `${anchor}-${i}`;
      if (anchors.has(numbered)) continue;
      anchors.add(numbered);
      break;
    }
  }
  return anchors;
}
