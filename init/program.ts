/** The program of init: what its entry loads. */
export { main } from './commands.ts';

/** `nodens doctor`, loaded only if it is asked for. */
export async function doctor(argv: readonly string[]): Promise<number> {
  return (await import('./doctor/main.ts')).doctor(argv);
}
