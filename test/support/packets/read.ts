/** Messages kept as files that are named after what is odd about them: hex, with a comment that says why. */
import { readdirSync, readFileSync } from 'node:fs';

export interface PacketFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** All packets in a folder below this one, by name. */
export function packetsIn(folder: string): PacketFile[] {
  const url = new URL(`${folder}/`, import.meta.url);
  return readdirSync(url)
    .filter((file) => file.endsWith('.hex'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.hex'.length),
      bytes: fromHex(readFileSync(new URL(file, url), 'utf8')),
    }));
}

/** One packet, by its path below this folder, `replies/` and `.hex` left out. */
export function packet(path: string): Buffer {
  return fromHex(readFileSync(new URL(`replies/${path}.hex`, import.meta.url), 'utf8'));
}

/** Bytes from hex; `#` begins a comment. Throws where it is no hex. */
export function fromHex(text: string): Buffer {
  const digits = text.replace(/#.*/g, '').replace(/\s+/g, '');
  const bytes = Buffer.from(digits, 'hex');
  if (bytes.length * 2 !== digits.length) throw new Error(`not hex: ${text}`);
  return bytes;
}
