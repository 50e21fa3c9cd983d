/** Lists of flags for `--help`. */
import { flagsOf } from './table.ts';
import type { CommandName, Flag } from './types.ts';

const COLUMN = 34;
const WIDTH = 110;

/** A line for each flag of `command`, or more if the text is long. */
export function flagHelp(command: CommandName): string {
  return flagsOf(command).map(describe).join('\n');
}

/** All spellings of a flag, with its type: `-dns.port, -p, -port PORT`. */
export function spellingsOf(flag: Flag): string {
  const names = [flag.name, ...(flag.aliases ?? [])].map((name) => `-${name}`).join(', ');
  return flag.value === undefined ? names : `${names} ${flag.value}`;
}

function describe(flag: Flag): string {
  const head = `  ${spellingsOf(flag)}`;
  const [first = '', ...rest] = wrap(`${flag.help}${defaultNote(flag)}`);
  const indent = ' '.repeat(COLUMN);
  const start = head.length < COLUMN ? head.padEnd(COLUMN) + first : `${head}\n${indent}${first}`;
  return [start, ...rest.map((line) => `${indent}${line}`)].join('\n');
}

function defaultNote({ default: value, defaultText }: Flag): string {
  const text = value ?? defaultText;
  return text === undefined ? '' : ` (default ${text})`;
}

function wrap(text: string): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) as string;
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + word.length < WIDTH - COLUMN)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
