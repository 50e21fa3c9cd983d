/** `node test/support/replay/write-page.ts`: regenerates the table of docs/outages.md. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { outagesPage } from './page.ts';
import { play } from './run.ts';
import { parseScenario } from './scenario.ts';

const FOLDER = new URL('../../replay/', import.meta.url).pathname;
const PAGE = new URL('../../../docs/outages.md', import.meta.url);

const shown = [];
for (const file of globSync('*.rpl.txt', { cwd: FOLDER }).sort()) {
  shown.push(...(await play(parseScenario(file, readFileSync(`${FOLDER}${file}`, 'utf8')))));
}
writeFileSync(PAGE, outagesPage(readFileSync(PAGE, 'utf8'), shown));
