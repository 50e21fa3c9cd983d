/** The table of docs/outages.md, from the results of the scenarios. */
import type { Shown } from './run.ts';

const BEGIN = '<!-- table: generated from test/replay -->';
const END = '<!-- end of table -->';

/** `page` with its table replaced. Throws without its markers. */
export function outagesPage(page: string, shown: readonly Shown[]): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error('docs/outages.md has no markers for its table');
  return `${page.slice(0, begin)}${BEGIN}\n\n${table(shown)}\n${page.slice(end)}`;
}

function table(shown: readonly Shown[]): string {
  const rows = [...new Set(shown.map(({ row }) => row))];
  const columns = [...new Set(shown.map(({ column }) => column))];
  const cell = (row: string, column: string): string =>
    shown.find((each) => each.row === row && each.column === column)?.text ?? '';
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(['upstream', ...columns]),
    line(['---', ...columns.map(() => '---')]),
    ...rows.map((row) => line([row, ...columns.map((column) => cell(row, column))])),
    '',
  ].join('\n');
}
