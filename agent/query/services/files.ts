/** Files that plugins read and watch. */

/** Content of a file, one chunk after the other. */
export interface OpenFile {
  /** Another for other content, as far as the system tells. */
  readonly identity: string;
  readonly sizeBytes: number;
  /** The next octets, to be used before the next call; none at the end. Rejects with what the system says. */
  read(): Promise<Uint8Array>;
  /** Whether the file is still what it was when it was opened. */
  isUnchanged(): Promise<boolean>;
  close(): Promise<void>;
}

export interface Files {
  /** Text of a file of up to 2 MiB; U+FFFD stands for what is not UTF-8. Throws what the system says. */
  read(path: string): string;
  /** Opens a regular file of any size. Rejects with what the system says, and for anything else with what it is. */
  open(path: string): Promise<OpenFile>;
  /** Calls `onChange` after the file's content may have changed; looks at least every `intervalMs`. */
  watch(path: string, intervalMs: number, onChange: () => void): { close(): void };
}
