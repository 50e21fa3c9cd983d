/** `npm run docs`: generates docs/reference from the tables in code. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { referencePages } from './reference.ts';

const FOLDER = new URL('../../../docs/reference/', import.meta.url);

mkdirSync(FOLDER, { recursive: true });
for (const [name, text] of referencePages()) writeFileSync(new URL(name, FOLDER), text);
