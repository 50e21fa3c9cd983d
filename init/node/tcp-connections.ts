/** TCP connections to an agent that hangs: their clients had better be told than wait. */
import type { Run } from './exec.ts';

/**
 * Resets what is open to `port` of `localIps`, the listeners stay; resolves to how many ss names: none where the kernel
 * cannot reset (CONFIG_INET_DIAG_DESTROY). Rejects with `CommandError`.
 */
export async function resetConnections(
  run: Run,
  localIps: readonly string[],
  port: number,
): Promise<number> {
  const sources = localIps.map((ip) => `src ${ip.includes(':') ? `[${ip}]` : ip}`).join(' or ');
  const filter = [
    'state',
    'established',
    'state',
    'close-wait',
    `( ${sources} ) and sport = :${port}`,
  ];
  const killed = await run('ss', ['--kill', '--no-header', '--tcp', '--numeric', ...filter]);
  return killed.split('\n').filter((line) => line !== '').length;
}
