/** Corefiles and manifests of a directory. */
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../base/errors.ts';

/** More are no directory of configurations. */
const MAX_FILES = 1_000;
const NOT_ENTERED = new Set(['node_modules']);
/** `Corefile`, `Corefile.base`, `stub.Corefile`, `x.corefile`. */
const COREFILE = /(^|[._-])corefile([._-]|$)/i;
const YAML = /\.ya?ml$/;

/** Whether `path` is a directory; false for a path that does not exist. */
export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/**
 * Paths of Corefiles and YAML files below `folder`, by name. Links and hidden folders are not followed. Throws UsageError
 * for a folder that has none, or too many.
 */
export function filesIn(folder: string): string[] {
  const found: string[] = [];
  const visit = (dir: string): void => {
    const byName = (a: Dirent, b: Dirent): number => (a.name < b.name ? -1 : 1);
    for (const entry of readdirSync(dir, { withFileTypes: true }).sort(byName)) {
      const { name } = entry;
      const path = join(dir, name);
      if (entry.isDirectory()) {
        if (!name.startsWith('.') && !NOT_ENTERED.has(name)) visit(path);
      } else if (entry.isFile() && (YAML.test(name) || COREFILE.test(name))) found.push(path);
      if (found.length > MAX_FILES)
        throw new UsageError(`${folder} has over ${MAX_FILES} files: name a smaller directory`);
    }
  };
  visit(folder);
  if (found.length === 0) throw new UsageError(`${folder} has no Corefile and no manifest`);
  return found;
}
