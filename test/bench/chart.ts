/** The plot of docs/performance.md: CPU per question, user and system stacked, one panel for each scenario. */
import type { Row, Table } from './results.ts';

const WIDTH = 760;
const LEFT = 130;
const RIGHT = 70;
const BAR = 14;
const LINE = 20;
const HEAD = 30;
const GAP = 14;

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

function bar(row: Row, y: number, scale: number): string {
  const user = row.userUs * scale;
  const sys = row.sysUs * scale;
  const own = row.subject === 'nodens' ? ' class="own"' : '';
  const middle = y + BAR - 3;
  return [
    `<text x="${LEFT - 8}" y="${middle}" text-anchor="end"${own}>${escaped(row.subject)}</text>`,
    `<rect x="${LEFT}" y="${y}" width="${user.toFixed(1)}" height="${BAR}" fill="#c2410c"/>`,
    `<rect x="${(LEFT + user).toFixed(1)}" y="${y}" width="${sys.toFixed(1)}" height="${BAR}" fill="#94a3b8"/>`,
    `<text x="${(LEFT + user + sys + 6).toFixed(1)}" y="${middle}"${own}>${row.totalUs.toFixed(2)}</text>`,
  ].join('');
}

function panel(table: Table, top: number): { readonly svg: string; readonly height: number } {
  const longest = Math.max(...table.rows.map(({ totalUs }) => totalUs), 1);
  const scale = (WIDTH - LEFT - RIGHT) / longest;
  const bars = table.rows.map((row, i) => bar(row, top + HEAD + i * LINE, scale));
  const title = `<text x="0" y="${top + 18}" class="title">${escaped(table.title)}</text>`;
  return { svg: [title, ...bars].join('\n'), height: HEAD + table.rows.length * LINE + GAP };
}

export function chart(tables: readonly Table[]): string {
  const panels: string[] = [];
  let top = 30;
  for (const table of tables.filter(({ rows }) => rows.length > 0)) {
    const { svg, height } = panel(table, top);
    panels.push(svg);
    top += height;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${top}" viewBox="0 0 ${WIDTH} ${top}">
<title>µs of CPU per question</title>
<style>text{font:12px sans-serif;fill:#1e293b}.title{font-weight:bold}.own{font-weight:bold}</style>
<rect width="100%" height="100%" fill="#ffffff"/>
<rect x="0" y="8" width="12" height="12" fill="#c2410c"/><text x="18" y="18">user</text>
<rect x="60" y="8" width="12" height="12" fill="#94a3b8"/><text x="78" y="18">system: µs of CPU per question</text>
${panels.join('\n')}
</svg>
`;
}
