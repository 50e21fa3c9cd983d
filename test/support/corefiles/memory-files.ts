/** Configuration files that exist only in a test. */
import { posix } from 'node:path';
import type { ConfigFiles } from '../../../agent/config/corefile/imports.ts';

/** A `ConfigFiles` over `texts`, keyed by absolute path; directories are implied by the paths. */
export function memoryFiles(texts: Readonly<Record<string, string>>): ConfigFiles {
  const paths = Object.keys(texts);
  const below = (dir: string): string[] =>
    paths.filter((path) => path.startsWith(dir === '/' ? '/' : `${dir}/`));
  const missing = (path: string): Error => new Error(`ENOENT: no such file: ${path}`);
  return {
    read: (path) => {
      const text = texts[path];
      if (text === undefined) throw missing(path);
      return text;
    },
    list: (dir) => {
      const names = below(dir).map((path) => posix.relative(dir, path).split('/')[0] as string);
      if (names.length === 0) throw missing(dir);
      return [...new Set(names)];
    },
    kind: (path) => {
      if (texts[path] !== undefined) return 'file';
      return below(path).length > 0 ? 'directory' : undefined;
    },
  };
}
