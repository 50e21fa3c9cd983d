/** Writes a tar archive of texts (POSIX ustar). The image has no tar, and a library would bring streams and folders. */

const BLOCK = 512;
const MODE = '0000644';

/** One file of the archive. The path has at most 100 ASCII characters. */
export interface TarFile {
  readonly path: string;
  readonly text: string;
}

/** The archive, uncompressed; `timeMs` is when its files were made, milliseconds since 1970. */
export function tarOf(files: readonly TarFile[], timeMs: number): Buffer {
  const parts = files.flatMap(({ path, text }) => {
    const data = Buffer.from(text, 'utf8');
    const padding = Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK);
    return [headerOf(path, data.length, timeMs), data, padding];
  });
  // Two empty blocks end an archive.
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function headerOf(path: string, bytes: number, timeMs: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number): string =>
    Math.floor(value).toString(8).padStart(digits, '0');
  header.write(path.slice(0, 100), 0, 'latin1');
  header.write(MODE, 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(bytes, 11), 124);
  header.write(octal(timeMs / 1_000, 11), 136);
  // The checksum counts its own field as spaces.
  header.write(' '.repeat(8), 148);
  header.write('0', 156);
  header.write('ustar\u000000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return header;
}
