/** Resets TCP connections to an agent that hangs: clients then retry at once instead of waiting for a timeout. */
import type { Run } from './exec.ts';

/**
 * Resets open connections to `port` of `localIps`; listening sockets stay. Resolves to how many ss reports: none where
 * the kernel cannot reset (CONFIG_INET_DIAG_DESTROY). Rejects with `CommandError`.
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
