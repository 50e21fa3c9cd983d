/** Corefiles and manifests of a directory. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../base/errors.ts';

/** More are no directory of configurations. */
const MAX_FILES = 1_000;
const NOT_ENTERED = new Set(['node_modules']);
/** `Corefile`, `Corefile.base`, `stub.Corefile`, `x.corefile`; not `corefile-refused.md`. */
const COREFILE = /(^|[._-])corefile([._-]|$)(?!.*\.(md|html?|txt|[jt]s|go|sh|tpl)$)/i;
const YAML = /\.ya?ml$/;

/** Whether `path` is a directory; false for a path that does not exist. */
export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/**
 * Paths of Corefiles and YAML files below `folder`, by name. Links are followed: a mounted ConfigMap is made of them. A
 * folder is read once, and hidden ones are left out. Throws UsageError for a folder that has none, or too many.
 */
export function filesIn(folder: string): string[] {
  const found: string[] = [];
  const visited = new Set<string>();
  const visit = (dir: string): void => {
    const real = realpathSync(dir);
    if (visited.has(real)) return;
    visited.add(real);
    for (const name of readdirSync(dir).sort()) {
      const path = join(dir, name);
      const entry = statSync(path, { throwIfNoEntry: false });
      if (entry?.isDirectory() === true) {
        if (!name.startsWith('.') && !NOT_ENTERED.has(name)) visit(path);
      } else if (entry?.isFile() === true && (YAML.test(name) || COREFILE.test(name)))
        found.push(path);
      if (found.length > MAX_FILES)
        throw new UsageError(`${folder} has over ${MAX_FILES} files: name a smaller directory`);
    }
  };
  visit(folder);
  if (found.length === 0) throw new UsageError(`${folder} has no Corefile and no manifest`);
  return found;
}
