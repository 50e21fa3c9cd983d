/** A long text as bytes, in parts that none of them is long to encode, send or copy. */

/** Characters gathered before they become bytes. */
const PART_CHARS = 32 * 1_024;

export class TextParts {
  readonly #parts: Uint8Array[] = [];
  #texts: string[] = [];
  #chars = 0;

  add(text: string): void {
    this.#texts.push(text);
    this.#chars += text.length;
    if (this.#chars >= PART_CHARS) this.#encode();
  }

  /** All of it. Nothing may be added after that. */
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
