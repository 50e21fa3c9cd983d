/**
 * Replay scenarios as text. A line is a word and its arguments; `#` begins a comment.
 *
 *     title TEXT                      what the scenario shows
 *     covers WORDS                    invariants of an outage (docs/architecture.md) and topics of replay.test.ts
 *     control /REGEXP/ -> /TEXT/      change of the Corefile under which the scenario must fail
 *     corefile … end                  the Corefile, on lines between
 *     upstream ADDRESS STATE [after=TIME] [ttl=SECONDS] [a=ADDRESS]
 *     ask NAME TYPE [do] [cd] [tcp] [noedns] [ecs] [x100]
 *     expect [RCODE] [a=ADDRESS] [ttl=SECONDS] [ede=CODE|none] [after=TIME] [after<=TIME] [aa=0] [ad=0] [tc=1]
 *     wait TIME
 *     sent [<=]N                      queries that reached upstreams since the last `sent`, probes aside
 *     probes <=N                      health probes since the last `probes`
 *     transport udp|tcp               transport of the last upstream query
 *     metric NAME[{LABEL="VALUE",…}] [<=]N
 *     reload /REGEXP/ -> /TEXT/       changes the Corefile and applies it
 *     restart TIME                    the process ends, and starts TIME later with its snapshot
 *     show ROW | COLUMN               puts the answer to the next question into the table of docs/outages.md
 */
import { parseDurationMs } from '../../../agent/base/text/duration.ts';

export interface Line {
  readonly number: number;
  readonly word: string;
  readonly rest: string;
}

export interface Change {
  readonly pattern: RegExp;
  readonly text: string;
}

export interface Scenario {
  readonly file: string;
  readonly title: string;
  readonly covers: readonly string[];
  readonly corefile: string;
  readonly control: Change;
  readonly steps: readonly Line[];
}

/** Throws an Error with file and line for an unknown line. */
export function parseScenario(file: string, text: string): Scenario {
  const lines = text.split('\n');
  const corefile: string[] = [];
  const steps: Line[] = [];
  const header = new Map<string, string>();
  let isCorefile = false;
  for (const [i, raw] of lines.entries()) {
    const line = raw.trim();
    if (isCorefile) {
      if (line === 'end') isCorefile = false;
      else corefile.push(raw);
    } else if (line !== '' && !line.startsWith('#')) {
      const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
      if (word === 'corefile') isCorefile = true;
      else if (['title', 'covers', 'control'].includes(word)) header.set(word, rest);
      else steps.push({ number: i + 1, word, rest });
    }
  }
  const needed = (word: string): string => {
    const value = header.get(word);
    if (value === undefined) throw new Error(`${file}: no ${word}`);
    return value;
  };
  return {
    file,
    title: needed('title'),
    covers: needed('covers').split(/,\s*/),
    control: parseChange(needed('control')),
    corefile: `${corefile.join('\n')}\n`,
    steps,
  };
}

/** `/REGEXP/ -> /TEXT/`; `\\n` in TEXT starts a line. */
export function parseChange(text: string): Change {
  const [, pattern, replacement] = /^\/(.+)\/ -> \/(.*)\/$/.exec(text) ?? [];
  if (pattern === undefined || replacement === undefined) throw new Error(`no change: ${text}`);
  return { pattern: new RegExp(pattern, 's'), text: replacement.replaceAll('\\n', '\n') };
}

/** The Corefile with the change made. Throws where it changes nothing. */
export function changed(corefile: string, { pattern, text }: Change): string {
  const next = corefile.replace(pattern, text);
  if (next === corefile) throw new Error(`${pattern} changes nothing`);
  return next;
}

export function timeMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new Error(`"${text}" is no time`);
  return ms;
}

/** `key=value` words, and the words without. */
export function fieldsOf(text: string): { fields: Map<string, string>; words: string[] } {
  const fields = new Map<string, string>();
  const words: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const [, key, value] = /^([a-z]+<?)=(.*)$/.exec(word) ?? [];
    if (key !== undefined && value !== undefined) fields.set(key, value);
    else words.push(word);
  }
  return { fields, words };
}
