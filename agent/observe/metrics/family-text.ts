/**
 * One family as text for Prometheus, line by line. prom-client would write the same (a test compares them) in 4 us a
 * line, from objects that it asks for all at once.
 */
import { Bucket, type Family, type Sample, type Step } from './samples.ts';

/** Characters that must be escaped in the value of a label. */
const ESCAPED = /[\\"\n]/;

/** One for each family of a page. */
export class FamilyText {
  hasLines = false;
  readonly #family: Family<Step>;
  /** The labels written last, and their text: all lines of a histogram have the same. */
  #labels: Sample['labels'] | undefined;
  #text = '';

  constructor(family: Family<Step>) {
    this.#family = family;
  }

  /** The line of `sample` with its line feed; the first time after HELP and TYPE. */
  line(sample: Sample): string {
    const { name } = this.#family;
    const head = this.hasLines ? '' : this.#head();
    this.hasLines = true;
    const { metricName = name, value } = sample;
    return `${head}${metricName}${this.#labelled(sample)} ${numberText(value)}\n`;
  }

  #head(): string {
    const { name, help, type } = this.#family;
    const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
    return `# HELP ${name} ${text}\n# TYPE ${name} ${type}\n`;
  }

  #labelled(sample: Sample): string {
    if (!(sample instanceof Bucket)) {
      const text = this.#textOf(sample.labels);
      return text === '' ? '' : `{${text}}`;
    }
    const text = this.#textOf(sample.own);
    return text === '' ? `{le="${sample.le}"}` : `{le="${sample.le}",${text}}`;
  }

  #textOf(labels: Sample['labels']): string {
    if (labels === this.#labels) return this.#text;
    let text = '';
    for (const name in labels)
      text += `${text === '' ? '' : ','}${name}="${escaped(labels[name] as string)}"`;
    this.#labels = labels;
    this.#text = text;
    return text;
  }
}

function escaped(value: string): string {
  if (!ESCAPED.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
