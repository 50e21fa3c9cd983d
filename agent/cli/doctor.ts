/** `nodens doctor`: becomes the init program in its read-only mode. */
import { becomeInit } from './init.ts';

/** Passes `argv` to init as it is: init parses the flags. Does not return, because the process is replaced. */
export function doctorCommand(argv: readonly string[]): Promise<number> {
  return becomeInit(['doctor', ...argv]);
}
