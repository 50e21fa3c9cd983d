/** Standard output, and tables. */
import { errnoOf } from '../../base/errors.ts';

/** A reader that has gone (`| head`) is no fault. */
process.stdout.on('error', (error) => {
  if (errnoOf(error) === 'EPIPE') process.exit(0);
  throw error;
});

/** Writes to standard output; resolves when the reader has room, so that a slow pipe does not fill the memory. */
export function print(text: string): Promise<void> {
  return new Promise((resolve) => {
    if (process.stdout.write(text)) resolve();
    else process.stdout.once('drain', resolve);
  });
}

/** One JSON object in a line. */
export function printJson(value: object): Promise<void> {
  return print(`${JSON.stringify(value)}\n`);
}

/** Columns aligned to the left, except where the head starts with `>`, which is not printed. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const isRight = head.map((cell) => cell.startsWith('>'));
  const all = [head.map((cell) => cell.replace(/^>/, '')), ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isRight[column] === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}
