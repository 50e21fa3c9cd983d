/** Each alert and each log event has a runbook that names it. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { AGENT_EVENTS, INIT_EVENTS } from '../../../agent/base/events/table.ts';
import { ALERTS } from '../../support/metrics/rules.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const SECTIONS = ['What you see', 'Why', 'What to do', 'How to check that it is over'];
const MAX_CELL = 120;
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');

const runbooks = globSync('docs/runbooks/*.md', { cwd: ROOT }).filter(
  (path) => !path.endsWith('/README.md'),
);

describe('runbooks', () => {
  for (const path of runbooks)
    it(`${path} has the fixed sections, and is in the index`, () => {
      const headings = [...read(path).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
      const isTask = path.endsWith('clean-a-node.md');
      assert.deepEqual(headings, isTask ? SECTIONS.slice(-1) : SECTIONS);
      assert.ok(read('docs/runbooks/README.md').includes(`](${path.split('/').at(-1)})`));
    });

  for (const [name, { runbook }] of Object.entries({ ...AGENT_EVENTS, ...INIT_EVENTS }))
    it(`the event ${name} is on its page`, () => {
      assert.ok(read(`docs/runbooks/${runbook}.md`).includes(`\`${name}\``), runbook);
    });
});

describe('alerts', () => {
  it('are unique by name and severity', () => {
    const ids = ALERTS.map(({ alert, labels }) => `${alert} ${labels.severity}`);
    assert.ok(ids.length > 20);
    assert.deepEqual(ids, [...new Set(ids)]);
  });

  for (const { alert, labels, annotations } of ALERTS)
    it(`${alert}, ${labels.severity}, has the runbook of its name, which names it, also in the index`, () => {
      const { runbook_url: page } = annotations;
      const name = alert
        .replace(/^Nodens/, '')
        .replaceAll(/(?<!^)[A-Z]/g, '-$&')
        .toLowerCase();
      assert.equal(page, `docs/runbooks/${name}.md`);
      assert.ok(existsSync(`${ROOT}${page}`), page);
      assert.ok(read(page).includes(`\`${alert}\``), page);
      const row = read('docs/runbooks/README.md')
        .split('\n')
        .find((line) => line.includes(`\`${alert}\``));
      assert.ok(row?.includes(`](${page.split('/').at(-1)})`), alert);
    });

  it('are the only alerts that pages name', () => {
    const known = new Set(ALERTS.map(({ alert }) => alert));
    for (const page of globSync('docs/**/*.md', { cwd: ROOT }))
      for (const [, name = ''] of read(page).matchAll(/`(Nodens[A-Z]\w+)`/g))
        assert.ok(known.has(name), `${page}: ${name}`);
  });
});

describe('tables', () => {
  const pages = ['README.md', 'CHANGELOG.md', 'manifests/*.md', 'deploy/*.md', 'docs/**/*.md'];
  // Excluded: docs/rooms.md, which a test reads, and whose cells are lists of packages.
  const isRead = (page: string): boolean => page !== 'docs/rooms.md';
  for (const page of pages.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).filter(isRead))
    it(`${page}: no cell is longer than ${MAX_CELL} characters`, () => {
      const cells = read(page)
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .flatMap((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
      assert.deepEqual(
        cells.filter((cell) => cell.length > MAX_CELL),
        [],
      );
    });
});
