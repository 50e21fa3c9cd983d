/** `nodens check` in this process, with its output. */
import { checkCommand } from '../../../agent/cli/check.ts';

export interface Checked {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** The lines of warnings. */
  readonly warnings: readonly string[];
}

export async function check(...argv: readonly string[]): Promise<Checked> {
  const written = { out: '', err: '' };
  const code = await checkCommand(argv, {
    stdout: {
      write: (text) => {
        written.out += text;
      },
    },
    stderr: {
      write: (text) => {
        written.err += text;
      },
    },
  });
  return { code, ...written, warnings: written.err.match(/^warning: .*/gm) ?? [] };
}
