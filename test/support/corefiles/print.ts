/**
 * Corefile text of parsed data: parsing it again must give the same data. Environment values may contain text that no word
 * can express, so this is for Corefiles without references.
 */
import { formatKey } from '../../../agent/config/corefile/keys.ts';
import type { BlockKey, Corefile, Line, Token } from '../../../agent/config/corefile/types.ts';

export function printCorefile(corefile: Corefile): string {
  return corefile.blocks
    .map(({ keys, directives }) => {
      const lines = directives.flatMap(({ uses }) => uses.map((use) => printLine(use, '    ')));
      return `${keys.map(printKey).join(' ')} {\n${lines.join('')}}\n`;
    })
    .join('\n');
}

/** With the bytes escaped that are special in a key but not in a name. */
function printKey(key: BlockKey): string {
  const zone = key.zone.replace(/[#,:]/g, (char) => `\\0${char.charCodeAt(0)}`);
  return formatKey({ ...key, zone });
}

function printLine(line: Line, indent: string): string {
  const head = [line.name, ...line.args].map(printToken).join(' ');
  if (line.body === undefined) return `${indent}${head}\n`;
  const body = line.body.map((inner) => printLine(inner, `${indent}    `)).join('');
  return `${indent}${head} {\n${body}${indent}}\n`;
}

function printToken({ text, quoted }: Token): string {
  return quoted ? quote(text) : text;
}

/** `text` as a quoted word. */
export function quote(text: string): string {
  return `"${text.replaceAll('"', '\\"')}"`;
}

/** Whether quotes can hold `text`: its own backslash must not escape a quote. */
export function isQuotable(text: string): boolean {
  return !text.includes('\\"') && !/(?<!\\)(?:\\\\)*\\$/.test(text);
}
