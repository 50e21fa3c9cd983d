import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FLAGS } from '../../../agent/base/flags/table.ts';
import { LIMITS } from '../../../agent/base/limits.ts';
import { heapFlags } from '../../../agent/cli/heap.ts';
import { cacheBudget, ledgerBudget } from '../../../agent/daemon/node/memory.ts';
import { OLDER_NAMES } from '../../../agent/observe/metrics/legacy-names.ts';
import { SERIES, TRAFFIC_SERIES } from '../../../agent/observe/metrics/names.ts';
import { WAITING_QUERY_BYTES } from '../../../agent/upstream/exchange/plan.ts';
import { build, containersOf } from './kustomize.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const PAGES = ['*.md', 'docs/**/*.md', 'manifests/*.md', 'deploy/**/*.md']
  .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  .sort();
const MEBI = 2 ** 20;

const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');

/** Bytes of a quantity such as `128Mi` or `1Gi`, undefined for `none`. */
function bytesOf(quantity: string): number | undefined {
  const match = /^(\d+)(Mi|Gi)$/.exec(quantity);
  return match === null ? undefined : Number(match[1]) * (match[2] === 'Gi' ? 1024 : 1) * MEBI;
}

test('the memory table has the values of the agent, and includes the limit of the manifests', () => {
  const table = /^\| (\S+) \| (\d+) MiB \| ([\d,]+) \| (\d+) MiB \|$/gm;
  const rows = [...read('manifests/README.md').matchAll(table)];
  for (const [, limit = '', mebibytes = '', queries = '', files = ''] of rows) {
    const { bytes } = cacheBudget(undefined, bytesOf(limit));
    assert.equal(bytes / MEBI, Number(mebibytes), limit);
    const [old = 0, young = 0] = heapFlags(bytes, bytesOf(limit)).map((flag) =>
      Number(flag.replace(/\D+/, '')),
    );
    // V8 counts the young generation three times: two halves, and what is promoted while they swap.
    const budget = ledgerBudget((old + 3 * young) * MEBI, bytes, bytesOf(limit));
    const { clientBudgetBytes, fileBudgetBytes } = budget;
    assert.equal(Math.floor(fileBudgetBytes / MEBI), Number(files), limit);
    const bound = clientBudgetBytes / WAITING_QUERY_BYTES;
    assert.equal(Math.round(bound / 100) * 100, Number(queries.replace(',', '')), limit);
  }
  assert.ok(rows.some(([, limit]) => limit === 'none'));
  assert.equal(LIMITS.cacheBytes.default, cacheBudget(undefined, undefined).bytes);

  const agent = build(`${ROOT}manifests/overlays/ipvs`)
    .flatMap(containersOf)
    .find((container) => container.name === 'agent');
  assert.ok(rows.some(([, limit]) => limit === agent?.resources.limits?.memory));
});

test('every series of nodens is explained on a page', () => {
  const pages = ['*.md', 'docs/**/*.md', 'manifests/*.md', 'agent/**/*.md']
    .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
    // The changelog names new series but does not explain them; the reference is generated from the table.
    .filter((page) => page !== 'CHANGELOG.md' && !page.startsWith('docs/reference/'));
  const named = new Set(pages.flatMap((page) => read(page).match(/\bnodens_\w+/g) ?? []));
  const series = Object.keys(SERIES).filter((name) => name.startsWith('nodens_'));
  assert.ok(series.length > 0);
  assert.deepEqual(
    series.filter((name) => !named.has(name)),
    [],
  );
});

for (const page of PAGES) {
  test(`${page}: every series it names exists`, () => {
    const tables = [SERIES, TRAFFIC_SERIES, OLDER_NAMES];
    const series = new Set(tables.flatMap((table) => Object.keys(table)));
    const text = read(page).replaceAll(/(?:table|set) inet \w+/g, '');
    for (const [name] of text.matchAll(/\b(?:nodens|coredns)_\w+/g))
      assert.ok(series.has(name), name);
  });

  test(`${page}: every flag of nodens it names exists`, () => {
    const known = new Set([
      'help',
      ...FLAGS.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
    ]);
    const spans = [...read(page).matchAll(/`(--?[a-z][^`]*)`|nodens init ([^\n`]*)/g)];
    for (const [, span = '', rest = ''] of spans)
      for (const [, flag = ''] of `${span} ${rest}`.matchAll(/(?:^|\s)--?([a-z][\w.-]*)/g))
        assert.ok(known.has(flag), flag);
  });

  test(`${page}: every path and link resolves`, () => {
    const text = read(page);
    const folder = page.replace(/[^/]+$/, '');
    for (const [path] of text.matchAll(/(?<![/\w])(?:manifests|deploy)\/[\w./-]*\w/g))
      assert.ok(existsSync(`${ROOT}${path}`), path);
    for (const [, link = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : `${folder}${path}`;
      assert.ok(existsSync(`${ROOT}${target}`), link);
      if (anchor !== undefined) assert.ok(headingsOf(read(target)).includes(anchor), link);
    }
  });
}

/** Anchors of the headings, as a forge derives them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replace(/\s+/g, '-'),
  );
}
