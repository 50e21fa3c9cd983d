/** Findings as one screen of text. */
import type { Finding, Verdict } from './facts.ts';

const LABEL: Readonly<Record<Verdict, string>> = {
  ok: 'ok  ',
  warn: 'WARN',
  bad: 'BAD ',
  unseen: '?   ',
};
const ID_COLUMNS = 14;

export function screen(findings: readonly Finding[]): string {
  return findings.flatMap(linesOf).join('\n');
}

function linesOf({ id, verdict, says, remedy }: Finding): string[] {
  const indent = ' '.repeat(LABEL.ok.length + ID_COLUMNS + 2);
  const line = `${LABEL[verdict]} ${id.padEnd(ID_COLUMNS)} ${says.replaceAll('\n', `\n${indent}`)}`;
  return remedy === undefined ? [line] : [line, `${indent}→ ${remedy}`];
}

/** 0: all is well; 1: something is odd, or could not be seen; 2: something is broken. */
export function exitCodeOf(findings: readonly Finding[]): number {
  if (findings.some(({ verdict }) => verdict === 'bad')) return 2;
  return findings.some(({ verdict }) => verdict !== 'ok') ? 1 : 0;
}
