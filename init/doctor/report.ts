/** Findings as one screen of text, or as JSON. */
import type { Facts, Finding, Verdict } from './facts.ts';

const LABEL: Readonly<Record<Verdict, string>> = {
  ok: 'ok  ',
  warn: 'WARN',
  fail: 'FAIL',
  unseen: '?   ',
};
const ID_COLUMNS = 14;

/** For each finding its verdict, id and message, and below, indented, its remedy. No newline at the end. */
export function screen(findings: readonly Finding[]): string {
  return findings.flatMap(linesOf).join('\n');
}

function linesOf({ id, verdict, message, remedy }: Finding): string[] {
  const indent = ' '.repeat(LABEL.ok.length + ID_COLUMNS + 2);
  const line = `${LABEL[verdict]} ${id.padEnd(ID_COLUMNS)} ${message.replaceAll('\n', `\n${indent}`)}`;
  return remedy === undefined ? [line] : [line, `${indent}→ ${remedy}`];
}

/** `says` is what `message` was called in 0.2. */
export function jsonOf(findings: readonly Finding[], facts: Facts): string {
  const named = findings.map((finding) => ({ ...finding, says: finding.message }));
  return JSON.stringify({ findings: named, facts }, null, 2);
}

/** 0: all is well; 1: something is odd, or could not be seen; 2: something is broken. */
export function exitCodeOf(findings: readonly Finding[]): number {
  if (findings.some(({ verdict }) => verdict === 'fail')) return 2;
  return findings.some(({ verdict }) => verdict !== 'ok') ? 1 : 0;
}
