/** The house rules that no linter knows: each failure names the fix. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const sources = [...globSync('{agent,init}/**/*.ts'), ...globSync('native/**/*.{c,h}')].sort();
const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n');

const MAX_COLUMNS = 130;

function offenders(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    linesOf(file).flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line}`] : [])),
  );
}

/** In two halves, so that this file has none of them. */
const PRONOUNS = ['no-body', 'some-body', 'who-ever', 'who-m'].map((word) => word.replace('-', ''));
const capitalised = (word: string): string => `${word[0]?.toUpperCase()}${word.slice(1)}`;
const PRONOUN = new RegExp(`\\b(${[...PRONOUNS, ...PRONOUNS.map(capitalised)].join('|')})\\b`);

/** Texts in plain English: code with its comments and titles, pages, scenarios, manifests. */
const texts = globSync(
  [
    '{agent,init,test,docs,native,manifests,deploy,examples}/**/*.{ts,mjs,c,h,md,txt,yaml}',
    '.github/**/*.{md,yml}',
    '*.md',
  ],
  { exclude: ['test/support/packets/**'] },
).sort();

describe('house rules', () => {
  it('lines fit on a screen', () => {
    const wide = offenders(sources, new RegExp(`^.{${MAX_COLUMNS},}$`));
    assert.deepEqual(wide, [], 'wrap the comment or the text');
  });

  it('only base/clock reads time and sets timers', () => {
    // The script of the status page runs in a browser.
    const free = ['agent/base/clock.ts', 'agent/operator/page/assets.ts'];
    const others = sources.filter((file) => !free.includes(file));
    const calls = /\b(Date\.now|new Date\(\)|performance\.now|setTimeout|setInterval)\(?/;
    assert.deepEqual(offenders(others, calls), [], 'take a Clock');
  });

  it('code has no marks of unfinished work', () => {
    // In two halves, so that this file has no such mark.
    const marks = ['TO-DO', 'FIX-ME', 'X-XX', 'HA-CK'].map((mark) => mark.replace('-', ''));
    const found = offenders(sources, new RegExp(`\\b(${marks.join('|')})\\b`));
    assert.deepEqual(found, [], 'do it, or write an issue');
  });

  it('code does not silence type checks', () => {
    const silencers = /@ts-(ignore|nocheck|expect-error)|\bas any\b|biome-ignore|oxlint-disable/;
    assert.deepEqual(offenders(sources, silencers), [], 'give it its type');
  });

  it('a CommonJS package loaded late is used through its default export', () => {
    const named =
      /\}\s*=\s*await import\('(?![./]|node:)|import\('(?![./]|node:)[^']*'\)\)\.(?!default)/;
    const isModule = (line: string): boolean => {
      const [, name = ''] = /import\('((?:@[^/']+\/)?[^/']+)/.exec(line) ?? [];
      const text = readFileSync(`node_modules/${name}/package.json`, 'utf8');
      return (JSON.parse(text) as { type?: string }).type === 'module';
    };
    const wrong = offenders(sources, named).filter((line) => !isModule(line));
    assert.deepEqual(wrong, [], 'in the bundle it has a default export only');
  });

  it('every room is in the map of README', () => {
    const readme = readFileSync('README.md', 'utf8');
    const rooms = globSync('agent/*/').map((dir) => `agent/${dir.split('/').at(-1)}`);
    const missing = rooms.filter((room) => room !== 'agent/cli' && !readme.includes(`\`${room}\``));
    assert.deepEqual(missing, [], 'name the room in README.md');
  });

  it('a sentence names its subject', () => {
    assert.ok(texts.length > 800, `${texts.length} files`);
    assert.deepEqual(
      offenders(texts, PRONOUN),
      [],
      'name it: agent, init, client, upstream, kernel',
    );
  });

  it('the check of subjects finds each pronoun, as a word of its own only', () => {
    for (const word of PRONOUNS) {
      assert.match(`// ${word} listens`, PRONOUN);
      assert.match(`'${capitalised(word)} else'`, PRONOUN);
      assert.doesNotMatch(`${word}X = my${capitalised(word)}`, PRONOUN);
    }
  });
});
