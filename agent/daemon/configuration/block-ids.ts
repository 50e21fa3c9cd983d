/** Integers for server blocks that stay the same over reloads, so that a block's cached answers are found again. */
import { createHash } from 'node:crypto';
import { formatKey } from '../../config/corefile/keys.ts';
import type { Block, Directive, Line } from '../../config/corefile/types.ts';

/** As many as two bytes of a cache key can distinguish. */
export const MAX_BLOCKS = 65_536;

/** One for the process: every cache key begins with such a number. */
export class BlockIdentities {
  /** Ordered by last use. */
  readonly #ids = new Map<string, number>();
  readonly #onReuse: (id: number) => void;
  readonly #max: number;

  /** `onReuse` is called before another block gets an identity: it must remove what is cached under it. */
  constructor(onReuse: (id: number) => void, max: number = MAX_BLOCKS) {
    this.#onReuse = onReuse;
    this.#max = max;
  }

  /** The identity of a block: its zones and ports, the addresses it is bound to, and its view. */
  idOf(block: Block, addresses: readonly string[]): number {
    const keys = block.keys.map(formatKey).sort().join(' ');
    const view = fingerprint(block.directives.filter(({ name }) => name === 'view'));
    const text = `${keys} @ ${[...addresses].sort().join(' ')} ${view}`;
    const id = this.find(text) ?? this.#free();
    this.#ids.delete(text);
    this.#ids.set(text, id);
    return id;
  }

  /** An unused one, else that of the least recently used block. */
  #free(): number {
    if (this.#ids.size < this.#max) return this.#ids.size;
    const [[text, id] = ['', 0]] = this.#ids;
    this.#ids.delete(text);
    this.#onReuse(id);
    return id;
  }

  /** The identity for a text from a snapshot; undefined if no block of this process has it. */
  find(text: string): number | undefined {
    return this.#ids.get(text);
  }

  /** Identifies the block, the same in every process. */
  textOf(id: number): string | undefined {
    for (const [text, known] of this.#ids) if (known === id) return text;
    return undefined;
  }
}

/** Fingerprint of directives as written, without comments and positions. */
export function fingerprint(directives: readonly Directive[]): string {
  const text = JSON.stringify(directives.map(({ name, uses }) => [name, uses.map(lineData)]));
  return createHash('sha256').update(text).digest('base64');
}

function lineData(line: Line): unknown {
  return [line.name.text, line.args.map((arg) => arg.text), line.body?.map(lineData)];
}
