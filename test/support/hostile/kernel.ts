/** What the kernel says of the agent: data buffered between it and clients, and processors. */
import { readFileSync } from 'node:fs';

const localPort = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;

/** Bytes of datagrams, as the kernel counts them, in the receive buffers of UDP port `port`. */
export function unreadBytes(port: number): number {
  return readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address]) => address?.endsWith(localPort(port)) === true)
    .reduce((sum, [, , , , queues = ':0']) => sum + Number.parseInt(queues.slice(9), 16), 0);
}

/** Bytes sent from TCP port `port` that their clients have not acknowledged, of open connections and of closed ones. */
export function untakenBytes(port: number): number {
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address]) => address?.endsWith(localPort(port)) === true)
    .reduce((sum, [, , , , queues = '0']) => sum + Number.parseInt(queues, 16), 0);
}

/** Of the main thread of process `pid`: it ran, and waited for a processor while it could have run; milliseconds. */
export function processorMs(pid: number): { readonly ran: number; readonly waited: number } {
  const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, 'utf8')
    .split(' ')
    .map((nanoseconds) => Number(nanoseconds) / 1e6);
  return { ran, waited };
}
