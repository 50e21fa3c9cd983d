/** Splits what the doctor has found: findings to read, and of the node's rules those of nodens only. */
import type { TarFile } from './tar.ts';

interface DoctorReport {
  readonly findings?: readonly {
    readonly id: string;
    readonly verdict: string;
    readonly message: string;
    readonly remedy?: string;
  }[];
  readonly facts?: { readonly rules?: { readonly value?: Readonly<Record<string, string>> } };
}

/** Files for the output of `nodens doctor --json`; that output alone if it is none. */
export function doctorFiles(text: string): readonly TarFile[] {
  let report: DoctorReport;
  try {
    report = JSON.parse(text) as DoctorReport;
  } catch {
    return [{ path: 'doctor.txt', text }];
  }
  const { findings = [], facts = {} } = report;
  const rules = facts.rules?.value;
  // Rules of the whole node name every Service, and may be megabytes.
  const rest = rules === undefined ? facts : { ...facts, rules: 'see rules.txt' };
  const lines = findings.map(({ id, verdict, message, remedy }) => {
    const hint = remedy === undefined ? '' : `\n      ${remedy}`;
    return `${verdict.padEnd(7)}${id}: ${message}${hint}\n`;
  });
  const own = Object.entries(rules ?? {}).map(([program, all]) => `# ${program}\n${ownRules(all)}`);
  return [
    { path: 'doctor.txt', text: lines.join('') },
    { path: 'doctor.json', text: `${JSON.stringify({ findings, facts: rest }, undefined, 2)}\n` },
    ...(rules === undefined ? [] : [{ path: 'rules.txt', text: own.join('\n') }]),
  ];
}

/** Whole nft tables of nodens; of other tables the lines with its comments, below the head of their table. */
function ownRules(text: string): string {
  const kept: string[] = [];
  let head = '';
  let isOwn = false;
  for (const line of text.split('\n')) {
    if (/^(table |\*)/.test(line)) {
      head = line;
      isOwn = /^table .*nodens/.test(line);
    }
    if (isOwn) kept.push(line);
    else if (line.includes('nodens:')) {
      if (head !== '') kept.push(head);
      head = '';
      kept.push(line);
    }
  }
  return `${kept.join('\n')}\n`;
}
