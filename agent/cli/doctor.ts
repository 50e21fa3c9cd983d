/** `nodens doctor`: becomes the init program in its mode that only looks. */
import { becomeInit } from './init.ts';

export function doctorCommand(argv: readonly string[]): Promise<number> {
  return becomeInit(['doctor', ...argv]);
}
