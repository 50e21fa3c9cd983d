/** Random Corefiles: a model, its text in some layout, and texts damaged on purpose. */
import fc from 'fast-check';
import { isQuotable, quote } from './print.ts';

/** A directive or option as it should be parsed: its words, then perhaps the lines in its braces. */
export interface MeantLine {
  readonly words: readonly string[];
  readonly body: readonly MeantLine[] | undefined;
}

export interface MeantBlock {
  /** As `formatKey` prints them. */
  readonly keys: readonly string[];
  readonly lines: readonly MeantLine[];
}

/** Text with its expected meaning. Its imports are in `files`. */
export interface Written<Meaning> {
  readonly text: string;
  readonly meaning: Meaning;
  readonly files: Readonly<Record<string, string>>;
}

const blank = fc.constantFrom(' ', '  ', '\t', ' \r', '\u00a0');
const lineEnd = fc.constantFrom('\n', '\r\n', '\n\n', ' # "comment" {\n', '#\n\t\n');

const plainWord = fc.stringMatching(/^[A-Za-z0-9.*:/_()\\-][A-Za-z0-9.*:/_()"\\{}-]{0,7}$/);
const anyText = fc
  .string({ unit: fc.constantFrom(...'aZ0 .#\n\r{}()\\"é,*😀'), maxLength: 6 })
  .filter(isQuotable);
const word = fc.oneof(
  plainWord.map((text) => ({ text, meaning: text })),
  anyText.map((text) => ({ text: quote(text), meaning: text })),
);
const directiveName = fc
  .constantFrom('errors', 'cache', 'forward', 'log', 'x-1')
  .chain((name) =>
    fc.constantFrom({ text: name, meaning: name }, { text: quote(name), meaning: name }),
  );

function written<Meaning>(
  text: string,
  meaning: Meaning,
  parts: readonly { readonly files?: Readonly<Record<string, string>> }[] = [],
): Written<Meaning> {
  return { text, meaning, files: Object.assign({}, ...parts.map((part) => part.files)) };
}

function lineOf(depth: number): fc.Arbitrary<Written<MeantLine>> {
  const body =
    depth === 0 ? fc.constant(undefined) : fc.option(linesOf(depth - 1), { nil: undefined });
  return fc
    .tuple(directiveName, fc.array(fc.tuple(blank, word), { maxLength: 3 }), body, lineEnd, lineEnd)
    .map(([name, args, inner, end, innerEnd]) => {
      const head = `${name.text}${args.map(([gap, arg]) => gap + arg.text).join('')}`;
      const words = [name.meaning, ...args.map(([, arg]) => arg.meaning)];
      if (inner === undefined) return written(`${head}${end}`, { words, body: undefined });
      const text = `${head} {${innerEnd}${inner.text}}${end}`;
      return written(text, { words, body: inner.meaning }, [inner]);
    });
}

let files = 0;

/** Lines, some of them moved to a file that is imported in their place. */
function linesOf(depth: number): fc.Arbitrary<Written<readonly MeantLine[]>> {
  const group = fc
    .tuple(fc.array(lineOf(depth), { maxLength: 3 }), fc.boolean(), lineEnd)
    .map(([lines, moved, end]) => {
      const text = lines.map((line) => line.text).join('');
      const meaning = lines.map((line) => line.meaning);
      if (!moved) return written(text, meaning, lines);
      const name = `part-${files++}`;
      return written(`import ${name}${end}`, meaning, [
        ...lines,
        { files: { [`/etc/${name}`]: text } },
      ]);
    });
  return fc.array(group, { maxLength: 2 }).map((groups) =>
    written(
      groups.map(({ text }) => text).join(''),
      groups.flatMap(({ meaning }) => meaning),
      groups,
    ),
  );
}

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/);
const key = fc
  .tuple(
    fc.constantFrom('', 'dns://', 'tls://'),
    fc.oneof(
      fc.constant('.'),
      fc.array(label, { minLength: 1, maxLength: 3 }).map((all) => all.join('.')),
    ),
    fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
  )
  .map(([scheme, zone, port]) => {
    const fqdn = zone === '.' ? '.' : `${zone.toLowerCase()}.`;
    const defaultPort = scheme === 'tls://' ? 853 : 53;
    return {
      text: `${scheme}${zone}${port === undefined ? '' : `:${port}`}`,
      meaning: `${scheme === '' ? 'dns://' : scheme}${fqdn}:${port ?? defaultPort}`,
    };
  });
const keyGap = fc.constantFrom(' ', '\t', ', ', ',\n', ', # more\n  ');

const block = fc
  .tuple(key, fc.array(fc.tuple(keyGap, key), { maxLength: 3 }), linesOf(2), lineEnd, lineEnd)
  .map(([first, more, lines, open, end]) => {
    const head = `${first.text}${more.map(([gap, next]) => gap + next.text).join('')}`;
    const keys = [first.meaning, ...more.map(([, next]) => next.meaning)];
    return written(`${head} {${open}${lines.text}}${end}`, { keys, lines: lines.meaning }, [lines]);
  });

/** Corefiles that must be parsed. */
export const validCorefile: fc.Arbitrary<Written<readonly MeantBlock[]>> = fc
  .tuple(fc.constantFrom('', '\ufeff', '# first\n\n'), fc.array(block, { maxLength: 4 }))
  .map(([start, blocks]) =>
    written(
      `${start}${blocks.map(({ text }) => text).join('')}`,
      blocks.map(({ meaning }) => meaning),
      blocks,
    ),
  );

/** Insertions that break or change a Corefile at any place. */
const debris = fc.constantFrom(
  ...['{', '}', ' { ', ' }\n', '"', '\\', '#', '\n', ' ', ',', ':', '/', '.', '..', '\r', '\0'],
  ...[
    '{$A}',
    '{$NOPE}',
    '{%A%}',
    '{$',
    '(',
    '(a) {\n',
    '\nimport a\n',
    '\nimport *\n',
    '\nimport ',
  ],
  ...[
    '10.1.2.0/23',
    '::/0',
    'htps://',
    ':99999',
    'é',
    '😀',
    '\ud800',
    'x'.repeat(300),
    '{\n'.repeat(40),
  ],
);

/** Corefiles with pieces cut out and garbage inserted; and plain garbage. */
export const damagedCorefile: fc.Arbitrary<Written<undefined>> = fc.oneof(
  fc
    .tuple(
      validCorefile,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 20 }), debris), { minLength: 1, maxLength: 4 }),
    )
    .map(([{ text, files: imported }, cuts]) => {
      const damaged = cuts.reduce((whole, [at, length, rubbish]) => {
        const from = at % (whole.length + 1);
        return `${whole.slice(0, from)}${rubbish}${whole.slice(from + length)}`;
      }, text);
      return { text: damaged, meaning: undefined, files: imported };
    }),
  fc
    .tuple(fc.array(debris, { maxLength: 30 }), fc.array(debris, { maxLength: 10 }))
    .map(([main, imported]) => ({
      text: main.join(''),
      meaning: undefined,
      files: { '/etc/a': imported.join(''), '/etc/b/c': '' },
    })),
);
