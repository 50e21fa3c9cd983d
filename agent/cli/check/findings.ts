/** What `nodens check` found, and the forms in which it prints that. */
import type { ConfigError, NodensError, Place } from '../../base/errors.ts';

/** An error keeps the agent from starting, a warning does not. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** Undefined for what belongs to no line. */
  readonly place: Place | undefined;
  readonly message: string;
  /** Where that is in the cluster: ConfigMap, key, and line of its text; '' for a file that is a Corefile. */
  readonly within: string;
}

/** A place in a manifest, for a place in a file of the container. */
export type Locate = (place: Place) => { readonly place: Place; readonly within: string };

const asItIs: Locate = (place) => ({ place, within: '' });

/** `file:line: message`; a file name may have colons. */
const PLACED = /^(\S+?):(\d+): ([\s\S]*)$/;

/** Collects findings once each, in the order in which they come. */
export class Findings {
  readonly #found = new Map<string, Finding>();
  readonly #locate: Locate;

  constructor(locate: Locate = asItIs) {
    this.#locate = locate;
  }

  /** In the order of their lines; those without a line come first. */
  get all(): readonly Finding[] {
    const line = ({ place }: Finding): number => place?.line ?? 0;
    return [...this.#found.values()].sort((a, b) => line(a) - line(b));
  }

  get isValid(): boolean {
    return !this.all.some(({ severity }) => severity === 'error');
  }

  /** An error of the configuration, with its place if it has one. */
  error(error: NodensError): void {
    const { place, reason } = error as Partial<Pick<ConfigError, 'place' | 'reason'>>;
    if (place === undefined || reason === undefined) this.#add('error', error.message);
    else this.#addAt('error', place, reason);
  }

  /** A warning; a text `file:line: …` has its place in front. */
  warning(text: string): void {
    const [, file, line, message] = PLACED.exec(text) ?? [];
    if (file === undefined || message === undefined) this.#add('warning', text);
    else this.#addAt('warning', { file, line: Number(line) }, message);
  }

  /** A warning about a place of the manifest itself. */
  warningAt(place: Place, message: string): void {
    this.#put({ severity: 'warning', place, message, within: '' });
  }

  #addAt(severity: Finding['severity'], place: Place, message: string): void {
    this.#put({ severity, message, ...this.#locate(place) });
  }

  #add(severity: Finding['severity'], message: string): void {
    this.#put({ severity, place: undefined, message, within: '' });
  }

  #put(finding: Finding): void {
    this.#found.set(JSON.stringify(finding), finding);
  }
}

/** `file:line: message (ConfigMap …)`. */
export function textOf({ place, message, within }: Finding): string {
  const head = place === undefined ? '' : `${place.file}:${place.line}: `;
  return `${head}${message}${within === '' ? '' : ` (${within})`}`;
}

/** A workflow command of GitHub's and Forgejo's CI: shown beside the line. */
export function annotationOf(finding: Finding): string {
  const { severity, place, message, within } = finding;
  const escaped = (text: string): string =>
    text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const property = (text: string): string =>
    escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
  const at = place === undefined ? '' : ` file=${property(place.file)},line=${place.line}`;
  return `::${severity}${at}::${escaped(within === '' ? message : `${message} (${within})`)}`;
}

/** With the names that `-json` prints. */
export function jsonOf({ severity, place, message, within }: Finding): object {
  const at = place === undefined ? {} : { file: place.file, line: place.line };
  return { severity, ...at, message, ...(within === '' ? {} : { within }) };
}
