/** `npm run docs`: generates docs/reference, docs/man and a header of the launcher from the tables in code. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { HEAP_SIZES_FILE, heapSizes } from './heap-sizes.ts';
import { manPages } from './man.ts';
import { referencePages } from './reference.ts';

const DOCS = new URL('../../../docs/', import.meta.url);

for (const [folder, pages] of [
  ['reference/', referencePages()],
  ['man/', manPages()],
] as const) {
  mkdirSync(new URL(folder, DOCS), { recursive: true });
  for (const [name, text] of pages) writeFileSync(new URL(folder + name, DOCS), text);
}

writeFileSync(HEAP_SIZES_FILE, heapSizes());
