/** Text for people: tables, times, sizes. */
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

/** `45s`, `3m12s`, `5h04m`, `2d03h`; negative times with a minus sign. */
export function duration(seconds: number): string {
  if (seconds < 0) return `-${duration(-seconds)}`;
  const two = (value: number): string => String(value).padStart(2, '0');
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${two(whole % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}

/** `812 B`, `3.4 KiB`, `12 MiB`. */
export function size(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB']) {
    if (value < 1_024)
      return `${value < 10 && unit !== 'B' ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1_024;
  }
  return `${value.toFixed(1)} GiB`;
}

/** Milliseconds with as many digits as matter. */
export function milliseconds(value: number | undefined): string {
  if (value === undefined) return '-';
  if (value >= 100) return `${Math.round(value)}ms`;
  if (value >= 10) return `${value.toFixed(1)}ms`;
  return `${value.toFixed(2)}ms`;
}

/** `12.3%`; `-` of nothing. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)}%`;
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
