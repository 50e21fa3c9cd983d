/** Patterns: Go's syntax, Go's results (the expectations are those of Go's regexp package), and a bound on their cost. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ConfigError } from '../../../../agent/base/errors.ts';
import {
  boundingPatterns,
  loadPatternEngine,
  patternArg,
  withPatterns,
} from '../../../../agent/config/corefile/pattern.ts';

/** The longest names with the most labels. */
const LABELS = 'a.'.repeat(126);
const LONG = `${'a'.repeat(63)}.${'a'.repeat(63)}.${'a'.repeat(63)}.${'b'.repeat(61)}.`;

const arg = (text: string) => patternArg({ text, place: { file: 'f', line: 7 }, quoted: false });

it('the engine is loaded for the first pattern, and the server that needs it is built again', async () => {
  let builds = 0;
  const build = (): boolean => {
    builds++;
    return arg('a').test('a');
  };
  assert.equal(await withPatterns(build), true);
  assert.equal(builds, 2);
  assert.equal(await withPatterns(build), true);
  assert.equal(builds, 3);
  await assert.rejects(
    withPatterns(() => arg('(')),
    ConfigError,
  );
});

describe('what Go understands', () => {
  for (const [pattern, text, expected] of [
    ['(.*)[.]example[.]org[.]', 'www.a.example.org.', ['www.a.example.org.', 'www.a']],
    ['^[[:alpha:]]+$', 'abc', ['abc']],
    ['^[[:^digit:]]+', 'ab1', ['ab']],
    ['\\pL+', '1ab2', ['ab']],
    ['^\\p{Greek}$', 'a', undefined],
    ['(?i)^A(?P<n>.)$', 'ab', ['ab', 'b']],
    ['a(?i)B(?-i)c', 'abc', ['abc']],
    ['a(?i:B)C', 'abc', undefined],
    ['(?U)(a+)(a*)', 'aaa', ['a', 'a', '']],
    ['\\Awww\\.a\\z', 'www.a', ['www.a']],
    ['a\\z', 'a.', undefined],
    ['\\Q.a\\E', 'x.a', ['.a']],
    ['(?P<first>[^.]+)\\.(?<second>[^.]+)', 'x.y.', ['x.y', 'x', 'y']],
    ['(a)|(b)', 'b', ['b', '', 'b']],
    ['a{2,3}', 'aaaa', ['aaa']],
    ['\\bb\\b', 'a.b.c', ['b']],
    ['x*', 'abc', ['']],
  ] as const) {
    it(`${pattern} in ${text}`, () => {
      const { match, test } = arg(pattern);
      assert.deepEqual(match(text), expected);
      assert.equal(test(text), expected !== undefined);
    });
  }

  it('groups by number and name', () => {
    const { groups, names } = arg('(a)(?P<b>b)(?<c>c)?');
    assert.equal(groups, 3);
    assert.deepEqual(
      [...names],
      [
        ['b', 2],
        ['c', 3],
      ],
    );
  });
});

describe('what Go refuses, in its words', () => {
  for (const [pattern, reason] of [
    ['a(?=b)', 'invalid or unsupported Perl syntax: `(?=`'],
    ['a(?!b)', 'invalid or unsupported Perl syntax: `(?!`'],
    ['(?<=a)b', 'invalid named capture: `(?<=a)b`'],
    ['(?>a)', 'invalid or unsupported Perl syntax: `(?>`'],
    ['(a)\\1', 'invalid escape sequence: `\\1`'],
    ['(?P<n>a)\\k<n>', 'invalid escape sequence: `\\k`'],
    ['a\\Z', 'invalid escape sequence: `\\Z`'],
    ['\\u0061', 'invalid escape sequence: `\\u`'],
    ['(', 'missing closing ): `(`'],
    ['[a', 'missing closing ]: `[a`'],
    ['a++', 'invalid nested repetition operator: `++`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['\\p{Foo}', 'invalid character class range: `\\p{Foo}`'],
  ] as const) {
    it(pattern, () => {
      assert.throws(
        () => arg(pattern),
        new ConfigError(
          { file: 'f', line: 7 },
          `"${pattern}" is not a regular expression of Go: ${reason}`,
        ),
      );
    });
  }
});

describe('cost', () => {
  for (const [pattern, text] of [
    ['(.*)\\.(.*)\\.(.*)\\.(.*)\\.my\\.domain', LABELS],
    ['(.*)\\.(.*)\\.(.*)\\.(.*)\\.(.*)\\.my\\.domain$', `${'a.'.repeat(120)}my.domain.`],
    ['^([a-z0-9-]+[.]?)+internal[.]$', `${'a'.repeat(40)}.${'b'.repeat(20)}.`],
    ['(a+)+$', LONG],
    ['(a|aa)+[.]x', LONG],
    ['(\\w+)(\\w+)(\\w+)(\\w+)(\\w+)(\\w+)Z', LONG],
  ] as const) {
    it(`stays small for the hostile pattern ${pattern}`, () => {
      const { match } = arg(pattern);
      const before = process.cpuUsage();
      for (let i = 0; i < 200; i++) match(text);
      const { user, system } = process.cpuUsage(before);
      assert.ok((user + system) / 200 < 5_000, `${(user + system) / 200} µs each`);
    });
  }

  it('is bounded by the length of a pattern and by its expanded size', () => {
    assert.throws(() => arg('a'.repeat(10_001)), /a pattern of over 10000 characters/);
    assert.throws(() => arg(`(${'[a-z0-9.]{999}'.repeat(6)})`), /f:7: .*steps for each character/);
  });

  it('is bounded for all patterns of a configuration together', () => {
    const each = '([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.]){1,8}';
    const many = (count: number) => () => {
      for (let i = 0; i < count; i++) arg(each);
    };
    boundingPatterns(many(8));
    assert.throws(() => boundingPatterns(many(100)), /the patterns up to here need over 20000/);
    boundingPatterns(many(8));
  });
});

it('finds the same as another engine, where both have the same syntax', async () => {
  await loadPatternEngine();
  const atom = fc.constantFrom('a', 'b', '[.]', '[a-c]', '[^.]', '(a|b)', '(?:ab)', '(b)', '.');
  const times = fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '{2}');
  const pattern = fc
    .array(fc.tuple(atom, times), { minLength: 1, maxLength: 5 })
    .map((parts) => parts.map((part) => part.join('')).join(''));
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', '.'), { maxLength: 12 })
    .map((all) => all.join(''));
  fc.assert(
    fc.property(
      pattern,
      fc.constantFrom('', '^'),
      fc.constantFrom('', '$'),
      text,
      (body, head, tail, name) => {
        const source = `${head}${body}${tail}`;
        // A group that is repeated keeps its last match in both, but JavaScript forgets its inner groups.
        const expected = new RegExp(source).exec(name)?.[0];
        assert.equal(arg(source).match(name)?.[0], expected);
      },
    ),
    { numRuns: 500 },
  );
});
