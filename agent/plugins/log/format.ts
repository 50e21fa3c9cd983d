/** A log format of CoreDNS, compiled once: text with placeholders in braces. */
import type { Query } from '../../query/query.ts';
import { EMPTY, FIELDS, type Field, type Outcome } from './fields.ts';

/** The default format, `{common}` in CoreDNS. */
export const COMMON_FORMAT =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" ' +
  '{rcode} {>rflags} {rsize} {duration}';
const COMBINED_FORMAT = `${COMMON_FORMAT} "{>opcode}"`;

/** As CoreDNS's log does. */
const PREFIX = '[INFO] ';

/** Formats the line of one query, without a line feed. */
export type LineFormat = (query: Query, outcome: Outcome) => string;

/** Unknown placeholders are left unchanged; `{/label}` is metadata, `-` if no plugin provides it. */
export function compileFormat(text: string): LineFormat {
  const whole = text
    .replaceAll('{common}', COMMON_FORMAT)
    .replaceAll('{combined}', COMBINED_FORMAT);
  const parts = whole
    .split(/(\{[^{}]*\})/)
    .filter((part) => part !== '')
    .map(partOf);
  return (query, outcome) => {
    let line = PREFIX;
    for (const part of parts) line += typeof part === 'string' ? part : part(query, outcome);
    return line;
  };
}

function partOf(part: string): string | Field {
  if (!part.startsWith('{')) return part;
  const name = part.slice(1, -1);
  if (name.startsWith('/')) {
    const label = name.slice(1);
    return (query) => query.metadata?.get(label) ?? EMPTY;
  }
  return Object.hasOwn(FIELDS, name) ? (FIELDS[name] as Field) : part;
}
