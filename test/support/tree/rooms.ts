/** The table of rooms in `docs/rooms.md`, and the imports that break it. */
import { readFileSync } from 'node:fs';
import { matchesGlob } from 'node:path';
import type { Import } from './imports.ts';

export const ROOMS_PAGE = 'docs/rooms.md';

export interface Room {
  /** Folder or file; `*` stands for one folder name. */
  readonly path: string;
  readonly mayImport: readonly string[];
  readonly modules: readonly ModuleRule[];
}

interface ModuleRule {
  /** Name, or a pattern such as `node:*`. */
  readonly module: string;
  /** The only names that may be imported from it; undefined for all. */
  readonly names: readonly string[] | undefined;
}

/** Rows of the page's tables, without those of the header. */
export function readRooms(page = readFileSync(ROOMS_PAGE, 'utf8')): Room[] {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => {
    const [path = [], mayImport = [], modules = []] = row.split('|').slice(1).map(codeWords);
    return { path: path[0] ?? '', mayImport, modules: modules.map(moduleRule) };
  });
}

function codeWords(cell: string): string[] {
  return Array.from(cell.matchAll(/`([^`]+)`/g), ([, word = '']) => word);
}

function moduleRule(word: string): ModuleRule {
  const [, module = '', names] = /^([^{]+)(?:\{(.*)\})?$/.exec(word) ?? [];
  return { module, names: names?.split(',') };
}

/** Row of a file: the longest that matches, with the `*` of its path filled in. */
export function roomOf(file: string, rooms: readonly Room[]): Room | undefined {
  const parts = file.split('/');
  for (let length = parts.length; length > 0; length -= 1) {
    const path = parts.slice(0, length).join('/');
    const room =
      rooms.find((candidate) => candidate.path === path) ??
      rooms.find((candidate) => matchesGlob(path, candidate.path));
    if (room !== undefined) return { ...room, path };
  }
  return undefined;
}

/** The reason why the table forbids an import; undefined where it allows it. */
export function objection(found: Import, rooms: readonly Room[]): string | undefined {
  const { file, line, target, isModule, names } = found;
  const room = roomOf(file, rooms);
  if (room === undefined) return `${file} is in no room`;
  const isAllowed = isModule
    ? room.modules.some((rule) => allowsModule(rule, target, names))
    : [room.path, ...room.mayImport].some((path) => isIn(target, path));
  return isAllowed ? undefined : `${file}:${line}: ${room.path} may not import ${target}`;
}

function isIn(file: string, path: string): boolean {
  return matchesGlob(file, path) || matchesGlob(file, `${path}/**`);
}

function allowsModule(rule: ModuleRule, module: string, names: Import['names']): boolean {
  if (module !== rule.module && !matchesModule(rule.module, module)) return false;
  return rule.names === undefined || (names?.every((name) => rule.names?.includes(name)) ?? false);
}

function matchesModule(pattern: string, module: string): boolean {
  return pattern.endsWith('*') && module.startsWith(pattern.slice(0, -1));
}
