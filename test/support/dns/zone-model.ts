/** A zone as its server answers it, in presentation format with trailing dots: names, and patterns that answer below names that it denies. */

/** How a server answers a question for one name. */
export type Existence = 'answered' | 'nodata' | 'denied';

/** Names may come and go at any time. A name that another is below exists (RFC 8020), unless only a pattern is below it. */
export class ZoneModel {
  readonly zone: string;
  /** Whether a name without records is denied although others are below it, as the older kube-dns does. */
  deniesEmpty = false;
  readonly #names = new Set<string>();
  /** Suffixes below which every name is answered although the suffix is denied, as `template` in CoreDNS does. */
  readonly #patterns = new Set<string>();
  /** Names that are answered although those above are denied, as `hosts` in CoreDNS does. */
  readonly #lonely = new Set<string>();

  constructor(zone: string, names: readonly string[] = []) {
    this.zone = zone;
    for (const name of names) this.add(name);
  }

  add(name: string): void {
    this.#names.add(name);
  }

  remove(name: string): void {
    this.#names.delete(name);
  }

  answerBelow(suffix: string): void {
    this.#patterns.add(suffix);
  }

  addLonely(name: string): void {
    this.#lonely.add(name);
  }

  of(name: string): Existence {
    if (this.#names.has(name) || this.#lonely.has(name)) return 'answered';
    const isBelow = (suffix: string): boolean => name.endsWith(`.${suffix}`);
    if ([...this.#patterns].some(isBelow)) return 'answered';
    const isAbove = [...this.#names].some((each) => each.endsWith(`.${name}`));
    if (name === this.zone) return 'nodata';
    return isAbove && !this.deniesEmpty ? 'nodata' : 'denied';
  }
}
