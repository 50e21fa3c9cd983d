/** What the kernel holds for clients that do not read. */
import { readFileSync } from 'node:fs';

/** Bytes sent from TCP port `port` that their clients have not taken, of open connections and of closed ones. */
export function untakenBytes(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address]) => address?.endsWith(local) === true)
    .reduce((sum, [, , , , queues = '0']) => sum + Number.parseInt(queues, 16), 0);
}
