/**
 * One family as text for Prometheus, line by line. prom-client would write the same (a test compares them) in 4 us a
 * line, from objects that it asks for all at once.
 */
import { headText, labelsText, numberText } from './line-text.ts';
import { Bucket, type Family, type Sample, type Step } from './samples.ts';

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
  lineOrHead(sample: Sample): string {
    const head = this.hasLines ? '' : this.#head();
    this.hasLines = true;
    return `${head}${this.line(sample)}`;
  }

  /** The line of `sample` with its line feed. */
  line(sample: Sample): string {
    const { metricName = this.#family.name, value } = sample;
    return `${metricName}${this.#labelled(sample)} ${numberText(value)}\n`;
  }

  #head(): string {
    const { name, help, type } = this.#family;
    return headText(name, help, type);
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
    this.#labels = labels;
    this.#text = labelsText(labels);
    return this.#text;
  }
}
