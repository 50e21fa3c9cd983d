/** The query log of an unbound, read incrementally: reading the whole log each time takes long. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** One line of the log. `name` is lower-case and ends in a dot. */
export interface LoggedQuery {
  readonly client: string;
  readonly name: string;
  readonly type: string;
}

export class QueryLog {
  readonly #file: string;
  readonly #queries: LoggedQuery[] = [];
  #offset = 0;
  /** The line that is not complete yet. */
  #rest = '';

  constructor(file: string) {
    this.#file = file;
  }

  /** Every query so far. */
  read(): readonly LoggedQuery[] {
    const lines = (this.#rest + this.#added()).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, client, name, type] = / query: (\S+) (\S+) (\S+) IN$/.exec(line) ?? [];
      if (client !== undefined && name !== undefined && type !== undefined)
        this.#queries.push({ client, name: name.toLowerCase(), type });
    }
    return this.#queries;
  }

  #added(): string {
    const fd = openSync(this.#file, 'r');
    try {
      const bytes = Buffer.alloc(fstatSync(fd).size - this.#offset);
      const length = readSync(fd, bytes, 0, bytes.length, this.#offset);
      this.#offset += length;
      return bytes.latin1Slice(0, length);
    } finally {
      closeSync(fd);
    }
  }
}
