/** Reads files of `snapshot/writer.ts`. Guards against damage, not against forgery: the checksum is verified first. */
import { crc32 } from 'node:zlib';
import { NodensError } from '../../base/errors.ts';
import { KIND, MAGIC, NO_EXTENDED, type SnapshotRecord, VERSION } from './writer.ts';

/** Label `reason` of nodens_snapshot_errors_total. */
export type SnapshotFault = 'damaged' | 'version';

/** Thrown for a snapshot that cannot be used. */
export class SnapshotError extends NodensError {
  readonly reason: SnapshotFault;

  constructor(reason: SnapshotFault, message: string) {
    super('NODENS_SNAPSHOT', message);
    this.reason = reason;
  }
}

/** Called in the order of the file. `wire` of a record is a view of the file. */
export interface SnapshotVisitor {
  /** Called before the block's entries. */
  block(identity: string, configVersions: readonly string[]): void;
  entry(record: SnapshotRecord): void;
}

const CRC_BYTES = 4;
const HEADER_BYTES = MAGIC.length + 12;

/** Time of writing in Unix milliseconds. Throws SnapshotError before any entry has been visited. */
export function checkSnapshot(file: Buffer): number {
  const end = file.length - CRC_BYTES;
  if (end < HEADER_BYTES || !file.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new SnapshotError('damaged', 'not a snapshot');
  }
  const version = file.readUInt32BE(MAGIC.length);
  if (version !== VERSION) {
    throw new SnapshotError('version', `version ${version}, this program reads ${VERSION}`);
  }
  if (crc32(file.subarray(0, end)) !== file.readUInt32BE(end)) {
    throw new SnapshotError('damaged', 'the checksum does not match');
  }
  return file.readDoubleBE(MAGIC.length + 4);
}

/** Visits every block and entry of a checked snapshot. Throws SnapshotError if it is truncated. */
export function readSnapshot(file: Buffer, visitor: SnapshotVisitor): void {
  const input = new Input(file.subarray(0, file.length - CRC_BYTES), HEADER_BYTES);
  try {
    for (let kind = input.u8(); kind !== KIND.end; kind = input.u8()) {
      if (kind === KIND.block) readBlock(input, visitor);
      else if (kind === KIND.entry) visitor.entry(readEntry(input));
      else throw new SnapshotError('damaged', `unknown record ${kind}`);
    }
  } catch (error) {
    if (error instanceof RangeError) throw new SnapshotError('damaged', 'it ends in a record');
    throw error;
  }
}

function readBlock(input: Input, visitor: SnapshotVisitor): void {
  const texts: string[] = [];
  for (let left = input.u32(); left > 0; left--) texts.push(input.bytes().toString('utf8'));
  const [identity = '', ...configVersions] = texts;
  visitor.block(identity, configVersions);
}

function readEntry(input: Input): SnapshotRecord {
  const key = input.bytes().latin1Slice();
  const configVersion = input.u32();
  const rcode = input.u16();
  const ageMs = input.f64();
  const expiresInMs = input.f64();
  const dropAfterInMs = input.f64();
  const code = input.u16();
  const text = input.bytes().toString('utf8');
  const wire = input.bytes();
  return {
    key,
    configVersion,
    rcode,
    ageMs: Number.isNaN(ageMs) ? undefined : ageMs,
    expiresInMs,
    dropAfterInMs,
    extended: code === NO_EXTENDED ? undefined : { code, text },
    wire,
  };
}

/** Reads sequentially. Throws RangeError at the end. */
class Input {
  readonly #file: Buffer;
  #at: number;

  constructor(file: Buffer, at: number) {
    this.#file = file;
    this.#at = at;
  }

  u8(): number {
    return this.#file.readUInt8(this.#moved(1));
  }

  u16(): number {
    return this.#file.readUInt16BE(this.#moved(2));
  }

  u32(): number {
    return this.#file.readUInt32BE(this.#moved(4));
  }

  f64(): number {
    return this.#file.readDoubleBE(this.#moved(8));
  }

  /** A view: copy it to keep it. */
  bytes(): Buffer {
    const length = this.u32();
    const at = this.#moved(length);
    if (this.#at > this.#file.length) throw new RangeError('past the end');
    return this.#file.subarray(at, this.#at);
  }

  #moved(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}
