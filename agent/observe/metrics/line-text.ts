/** Parts of a line for Prometheus. */
import type { Sample } from './samples.ts';

/** Characters that must be escaped in the value of a label. */
const ESCAPED = /[\\"\n]/;

/** `labels` without braces; '' without labels. */
export function labelsText(labels: Sample['labels']): string {
  let text = '';
  for (const name in labels)
    text += `${text === '' ? '' : ','}${name}="${escaped(labels[name] as string)}"`;
  return text;
}

function escaped(value: string): string {
  if (!ESCAPED.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

export function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

/** HELP and TYPE. */
export function headText(name: string, help: string, type: string): string {
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return `# HELP ${name} ${text}\n# TYPE ${name} ${type}\n`;
}
