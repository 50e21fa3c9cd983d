/** Plays every scenario of this folder, and each a second time with what it shows switched off: then it must fail. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { SERIES } from '../../agent/observe/metrics/names.ts';
import { outagesPage } from '../support/replay/page.ts';
import { play, type Shown } from '../support/replay/run.ts';
import { changed, parseScenario } from '../support/replay/scenario.ts';

const FOLDER = import.meta.dirname;
const PAGE = new URL('../../docs/outages.md', import.meta.url);

const scenarios = globSync('*.rpl.txt', { cwd: FOLDER })
  .sort()
  .map((file) => parseScenario(file, readFileSync(`${FOLDER}/${file}`, 'utf8')));

const WANTED = [
  ...[1, 2, 3, 4, 5, 6, 7].map((number) => `invariant ${number}`),
  'stale answers in an outage',
  'no stuck failures',
  'TCP to kube-dns',
  'many clients miss at once',
  'memory in an outage',
  'new and deleted Services',
  'a dead endpoint',
  'transport of each zone',
  'few queries to a dead upstream',
  'EDNS of other clients',
];

const shown: Shown[] = [];

for (const scenario of scenarios) {
  describe(`${basename(scenario.file, '.rpl.txt')}: ${scenario.title}`, () => {
    it('goes as written', async () => {
      shown.push(...(await play(scenario)));
    });

    it('goes another way where that is switched off', async () => {
      const without = changed(scenario.corefile, scenario.control);
      await assert.rejects(play(scenario, without), assert.AssertionError);
    });
  });
}

describe('scenarios', () => {
  it('cover every invariant of an outage and every topic', () => {
    const covered = new Set(scenarios.flatMap(({ covers }) => covers));
    assert.deepEqual(
      WANTED.filter((wanted) => !covered.has(wanted)),
      [],
    );
    assert.deepEqual(
      [...covered].filter((found) => !WANTED.includes(found)),
      [],
    );
  });

  it('are explained by series that exist', () => {
    for (const [series] of readFileSync(PAGE, 'utf8').matchAll(
      /\b(?:coredns|nodens)_[a-z0-9_]+/g,
    )) {
      assert.ok(Object.hasOwn(SERIES, series), series);
    }
  });

  it('are the table of docs/outages.md: node test/support/replay/write-page.ts brings it up to date', () => {
    const page = readFileSync(PAGE, 'utf8');
    assert.equal(page, outagesPage(page, shown));
  });
});
