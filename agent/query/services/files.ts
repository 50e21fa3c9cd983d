/** Files that plugins read and watch. */

/** Content of a file, in chunks. */
export interface OpenFile {
  /** Changes with the content, as far as the system reports it. */
  readonly identity: string;
  readonly sizeBytes: number;
  /** The next bytes, valid until the next call; none at the end. Rejects with the system's error. */
  read(): Promise<Uint8Array>;
  /** Whether the file is unchanged since it was opened. */
  isUnchanged(): Promise<boolean>;
  close(): Promise<void>;
}

/** Only for reading. The agent also reports errors that come from a lack of a resource, such as file descriptors. */
export interface Files {
  /** Text of a file of up to 2 MiB; U+FFFD replaces invalid UTF-8. Throws the system's error. */
  read(path: string): string;
  /**
   * Opens a regular file of any size. Rejects with the system's error; for anything but a regular file, with its kind.
   */
  open(path: string): Promise<OpenFile>;
  /** Calls `onChange` after the file's content may have changed; checks at least every `intervalMs`. */
  watch(path: string, intervalMs: number, onChange: () => void): { close(): void };
}
