/** Runs test files with live output, and keeps the lines with measurements of tests. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface FilesOutcome {
  readonly isGood: boolean;
  readonly seconds: number;
  /** Lines that start with `# `, without it. */
  readonly measured: readonly string[];
}

/** `files`: paths or patterns below `test/`, one after the other. */
export async function runFiles(
  files: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<FilesOutcome> {
  const startMs = performance.now();
  const flags = ['--test', '--test-reporter=spec', '--test-concurrency=1'];
  const paths = files.map((file) => `test/${file}`);
  const child = spawn(process.execPath, [...flags, ...paths], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const measured: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    process.stdout.write(`${line}\n`);
    if (line.startsWith('# ')) measured.push(line.slice(2));
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  return { isGood: code === 0, seconds: (performance.now() - startMs) / 1_000, measured };
}
