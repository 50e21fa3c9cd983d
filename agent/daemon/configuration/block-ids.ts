/** Integers for server blocks that stay the same over reloads, so that what is cached for a block is found again. */
import { createHash } from 'node:crypto';
import { formatKey } from '../../config/corefile/keys.ts';
import type { Block, Directive, Line } from '../../config/corefile/types.ts';

const MAX_BLOCKS = 65_536;

export class BlockIdentities {
  readonly #ids = new Map<string, number>();

  /** The identity of a block: its zones and ports, the addresses it is bound to, and its view. */
  idOf(block: Block, addresses: readonly string[]): number {
    const keys = block.keys.map(formatKey).sort().join(' ');
    const view = fingerprint(block.directives.filter(({ name }) => name === 'view'));
    const text = `${keys} @ ${[...addresses].sort().join(' ')} ${view}`;
    const known = this.find(text);
    if (known !== undefined) return known;
    // A process that lives through that many different blocks starts over: at worst some names are asked again.
    if (this.#ids.size >= MAX_BLOCKS) this.#ids.clear();
    const id = this.#ids.size;
    this.#ids.set(text, id);
    return id;
  }

  /** The identity behind a text that a snapshot holds; undefined where no block of this process has it. */
  find(text: string): number | undefined {
    return this.#ids.get(text);
  }

  /** What tells the block from others, the same in every process. */
  textOf(id: number): string | undefined {
    for (const [text, known] of this.#ids) if (known === id) return text;
    return undefined;
  }
}

/** Fingerprint of directives as written, comments and places aside. */
export function fingerprint(directives: readonly Directive[]): string {
  const text = JSON.stringify(directives.map(({ name, uses }) => [name, uses.map(lineData)]));
  return createHash('sha256').update(text).digest('base64');
}

function lineData(line: Line): unknown {
  return [line.name.text, line.args.map((arg) => arg.text), line.body?.map(lineData)];
}
