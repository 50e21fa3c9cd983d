/** A long text as bytes, in parts small enough to encode, send or copy quickly. */

/** Characters collected before they are encoded. */
const PART_CHARS = 32 * 1_024;

/** Collects texts as UTF-8. Texts are joined up to `PART_CHARS`, and never split. */
export class TextParts {
  readonly #parts: Uint8Array[] = [];
  #texts: string[] = [];
  #chars = 0;

  add(text: string): void {
    this.#texts.push(text);
    this.#chars += text.length;
    if (this.#chars >= PART_CHARS) this.#encode();
  }

  /** All parts. No text may be added afterwards. */
  end(): readonly Uint8Array[] {
    this.#encode();
    return this.#parts;
  }

  #encode(): void {
    if (this.#chars === 0) return;
    this.#parts.push(Buffer.from(this.#texts.join('')));
    this.#texts = [];
    this.#chars = 0;
  }
}
