/** `nodens doctor`: becomes the init program in its read-only mode. */
import { becomeInit } from './init.ts';

export function doctorCommand(argv: readonly string[]): Promise<number> {
  return becomeInit(['doctor', ...argv]);
}
