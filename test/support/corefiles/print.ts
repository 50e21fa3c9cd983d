/** Corefile text of parsed data: parsing it again must give the same data. */
import { formatKey } from '../../../agent/config/corefile/keys.ts';
import type { Corefile, Line, Token } from '../../../agent/config/corefile/types.ts';

export function printCorefile(corefile: Corefile): string {
  return corefile.blocks
    .map(({ keys, directives }) => {
      const lines = directives.flatMap(({ uses }) => uses.map((use) => printLine(use, '    ')));
      const head = keys.map((key) => printWord(formatKey(key))).join(' ');
      return `${head} {\n${lines.join('')}}\n`;
    })
    .join('\n');
}

function printLine(line: Line, indent: string): string {
  const head = [line.name, ...line.args].map(printToken).join(' ');
  if (line.body === undefined) return `${indent}${head}\n`;
  const body = line.body.map((inner) => printLine(inner, `${indent}    `)).join('');
  return `${indent}${head} {\n${body}${indent}}\n`;
}

function printToken(token: Token): string {
  return token.quoted ? quote(token.text) : printWord(token.text);
}

function printWord(text: string): string {
  return text === '' || /[\s\u0085#]|^[{}]$|^"/.test(text) ? quote(text) : text;
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '\\"')}"`;
}
