/** Tokens, certificates and keys. Those in files change while the agent runs: the kubelet rotates tokens, and CAs. */
import { messageOf } from '../base/errors.ts';
import type { Files } from '../query/services/files.ts';

/** Returns the current text. Never throws: while a file is unreadable, its last text counts. */
export type Secret = () => string;

/** A secret whose text never changes. */
export function fixedSecret(text: string): Secret {
  return () => text;
}

/** The file's text without blanks around it. Throws what `refused` makes of the reason if it is unreadable or empty. */
export function secretFile(
  path: string,
  files: Pick<Files, 'read'>,
  refused: (reason: string) => Error,
): Secret {
  const read = (): string => files.read(path).trim();
  let last: string;
  try {
    last = read();
  } catch (error) {
    throw refused(`cannot be read (${messageOf(error)})`);
  }
  if (last === '') throw refused('is empty');
  return () => {
    try {
      const text = read();
      // A file that is being replaced may be empty for a moment.
      if (text !== '') last = text;
    } catch {
      // The last text may be valid for some time; if not, the API server says so.
    }
    return last;
  };
}
