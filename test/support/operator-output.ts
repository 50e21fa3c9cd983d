/** The reader of an admin socket in a test: it takes lines until `capacity` of them are waiting. */
import type { Output } from '../../agent/operator/connection.ts';
import type { AdminLine } from '../../agent/operator/protocol.ts';

export class FakeOutput implements Output {
  readonly lines: AdminLine[] = [];
  waiting = 0;
  isClosed = false;
  readonly capacity: number;
  readonly departed: Promise<void>;
  depart: () => void = () => undefined;
  #drained: (() => void) | undefined;

  constructor(capacity = Number.POSITIVE_INFINITY) {
    this.capacity = capacity;
    this.departed = new Promise((resolve) => {
      this.depart = resolve;
    });
  }

  get isFull(): boolean {
    return this.waiting >= this.capacity;
  }
  offer(line: AdminLine): boolean {
    if (this.isFull) return false;
    this.waiting++;
    this.lines.push(line);
    return true;
  }
  async write(line: AdminLine): Promise<void> {
    await this.room();
    this.offer(line);
  }
  async room(): Promise<void> {
    if (!this.isFull || this.isClosed) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }
  /** The reader has read everything. */
  read(): void {
    this.waiting = 0;
    this.#drained?.();
  }
}
