/** Inputs kept beside the code: every test runs the findings of earlier searches. Hex, with comments. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fromHex } from '../support/packets/read.ts';

const folderOf = (target: string): string =>
  fileURLToPath(new URL(`seeds/${target}/`, import.meta.url));

/** Seeds of a part of the addon. */
export const seedsName = (part: string): string => `addon-${part}`;

export function keptSeeds(target: string): Buffer[] {
  const folder = folderOf(target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((file) => fromHex(readFileSync(`${folder}${file}`, 'utf8')));
}

/** Stores an input that broke `target`; returns its path. */
export function keepFinding(target: string, input: Buffer, reason: string): string {
  const folder = folderOf(target);
  mkdirSync(folder, { recursive: true });
  const hash = createHash('sha256').update(input).digest('hex').slice(0, 12);
  const path = `${folder}${hash}.hex`;
  const lines = input.toString('hex').replace(/.{1,64}/g, '$&\n');
  writeFileSync(path, `# ${reason.replaceAll('\n', ' ')}\n${lines}`);
  return path;
}
