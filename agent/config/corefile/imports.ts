/** Resolves `import`: a file, or a glob over files. */
import { posix } from 'node:path';
import { ConfigError, messageOf, type Place } from '../../base/errors.ts';

/** The configuration's access to files: passed in, so that parsing opens nothing itself. */
export interface ConfigFiles {
  /** Text of a file; U+FFFD replaces invalid UTF-8. Throws if it cannot be read. */
  read(path: string): string;
  /** Names in a directory, in any order. Throws if it cannot be read. */
  list(dir: string): string[];
  /** Kind of `path`, links followed; undefined if it does not exist. Throws if access is denied. */
  kind(path: string): 'file' | 'directory' | undefined;
}

/** Wraps `files` and records in `paths` what was read, listed or missing: paths to watch for a reload. */
export function recordReads(files: ConfigFiles): ConfigFiles & { readonly paths: Set<string> } {
  const paths = new Set<string>();
  return {
    paths,
    read: (path) => files.read(remember(paths, path)),
    list: (dir) => files.list(remember(paths, dir)),
    kind: (path) => {
      const kind = files.kind(path);
      if (kind === undefined) paths.add(path);
      return kind;
    },
  };
}

function remember(paths: Set<string>, path: string): string {
  paths.add(path);
  return path;
}

/** An imported file. */
export interface ImportedFile {
  readonly path: string;
  readonly text: string;
}

/**
 * Files that match `pattern`, imported at `place`, relative to `directory`, ordered by name; none if a glob matches
 * none. Throws ConfigError for a missing file, a directory, an unreadable file or a glob that CoreDNS refuses as well.
 */
export function readImports(
  pattern: string,
  place: Place,
  directory: string,
  files: ConfigFiles,
): ImportedFile[] {
  const path = posix.resolve(directory, pattern);
  try {
    const paths = isGlob(pattern) ? expandGlob(path, place, files) : [path];
    return paths.map((found) => ({ path: found, text: readOne(found, place, files) }));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const reason = `import: cannot read ${pattern}: ${messageOf(error)}`;
    throw new ConfigError(place, reason, { cause: error });
  }
}

/** Whether `import` reads `pattern` as a glob. Brackets count as well, although `readImports` refuses them. */
export function isGlob(pattern: string): boolean {
  return /[*?[\]]/.test(pattern);
}

function readOne(path: string, place: Place, files: ConfigFiles): string {
  const kind = files.kind(path);
  if (kind === undefined)
    throw new ConfigError(place, `import: ${path} is neither a file nor a snippet defined above`);
  if (kind === 'directory')
    throw new ConfigError(place, `import: ${path} is a directory; to import its files: ${path}/*`);
  return files.read(path);
}

function expandGlob(path: string, place: Place, files: ConfigFiles): string[] {
  if (path.split('*').length > 2 || path.split('?').length > 2 || /[[\]]/.test(path))
    throw new ConfigError(place, 'import: a pattern may contain one * and one ?, and no brackets');
  let found = ['/'];
  for (const part of path.split('/').filter((name) => name !== '')) {
    found = isGlob(part)
      ? found.flatMap((dir) => matchingEntries(dir, part, files))
      : found.map((dir) => posix.join(dir, part)).filter((at) => files.kind(at) !== undefined);
  }
  return found;
}

/** Entries of `dir` that match; hidden ones (a ConfigMap volume's `..data`) only if the pattern starts with a dot. */
function matchingEntries(dir: string, part: string, files: ConfigFiles): string[] {
  if (files.kind(dir) !== 'directory') return [];
  const source = part
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replace('*', '.*')
    .replace('?', '.');
  const pattern = new RegExp(`^${source}$`, 'su');
  return files
    .list(dir)
    .filter((name) => pattern.test(name) && (part.startsWith('.') || !name.startsWith('.')))
    .sort()
    .map((name) => posix.join(dir, name));
}
