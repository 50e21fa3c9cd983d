/** Nothing in the tree refers to something that a reader of the tree cannot find. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { brokenReferences, type Tree } from '../../support/tree/references.ts';

const FOLDERS = 'agent,init,native,test,docs,manifests,deploy,examples,.github';
const EXTENSIONS = 'ts,mjs,c,h,md,yaml,yml,txt,corefile,json,env';
const FILES = [
  ...globSync(`{${FOLDERS}}/**/*.{${EXTENSIONS}}`),
  ...globSync('*.{ts,mjs,md,json}', { exclude: ['package-lock.json'] }),
  ...globSync(['manifests/**/Corefile', 'examples/**/Corefile*', 'Dockerfile']),
].sort();

const has = (path: string): boolean => globSync(path).length > 0;
const TREE: Tree = { has, read: (path) => readFileSync(path, 'utf8') };

describe('references', () => {
  it('resolve within the tree', () => {
    assert.ok(FILES.length > 800);
    const found = FILES.flatMap((file) => brokenReferences(file, TREE.read(file), TREE));
    assert.deepEqual(found, []);
  });

  it('are refused where they do not resolve', () => {
    // In pieces, so that this file has no such reference itself.
    const [sign, folder] = ['\u00a7', 'docs'];
    const tree: Tree = {
      has: (path) => [`${folder}/a.md`, `${folder}/b.md`, 'agent/main.ts'].includes(path),
      read: () => '# One heading\n## Where, and why?\n',
    };
    const faults = (text: string, file = `${folder}/a.md`): number =>
      brokenReferences(file, text, tree).length;
    for (const text of [
      `as design ${sign}4.2 says`,
      `as design.md${sign}4 says`,
      ['as the', 'peer does'].join(' '),
      ['as usual (peer', 'behaviour)'].join(' '),
      `covers ${['complaint', 7].join(' ')}`,
      `see ../${'shared'}/house.md`,
      `see ${sign}3`,
      `see \`${folder}/c.md\``,
      'see `agent/gone.ts`',
      '[c](c.md)',
      '[b](b.md#two-headings)',
      '[here](#nowhere)',
    ])
      assert.ok(faults(text) > 0, text);
    for (const text of [
      `RFC 2308 ${sign}5, then a line\n * and ${sign}7`,
      `see \`${folder}/b.md\` and \`agent/main.ts\``,
      '[b](b.md) [b](b.md#where-and-why) [x](https://example.org/c.md)',
      '# Here\n[here](#here)',
      'struct peer *peer; the peers of a test; the peer-to-peer way',
    ])
      assert.equal(faults(text), 0, text);
    assert.equal(faults(`// ${folder}/b.md`, 'agent/x.ts'), 0);
    assert.equal(faults(`// ${folder}/c.md`, 'agent/x.ts'), 1);
  });
});

describe('decisions', () => {
  const pages = globSync('docs/decisions/[0-9]*.md').sort();
  const index = TREE.read('docs/decisions/README.md');
  const HEADINGS = ['Context', 'What was measured', 'Decision', 'What would change it'];

  it('have unique numbers, and the index has each once, in their order', () => {
    assert.ok(pages.length > 0);
    const numbers = pages.map((page) => /(\d{3})-[a-z0-9-]+\.md$/.exec(page)?.[1]);
    assert.equal(new Set(numbers).size, pages.length);
    const rows = pages.map((page) => {
      const name = page.split('/').at(-1) ?? '';
      const [, title] = /^# \d{3}: (.+)$/m.exec(TREE.read(page)) ?? [];
      return `| ${name.slice(0, 3)} | [${title}](${name}) |`;
    });
    assert.deepEqual(index.match(/^\| \d{3} \|.*$/gm), rows);
  });

  for (const page of pages)
    it(`${page} has the fixed headings, and fits one screen`, () => {
      const text = TREE.read(page);
      const headings = Array.from(text.matchAll(/^## (.+)$/gm), ([, heading]) => heading);
      assert.deepEqual(headings, HEADINGS);
      assert.ok(text.split('\n').length <= 41, 'at most 40 lines');
    });
});
