/** Tables of /proc as data, and the name of this process there. */
import { writeFileSync } from 'node:fs';
import { type Family, formatAddress } from '../../agent/base/address.ts';

/** The state of the conntrack table. */
export interface Conntrack {
  readonly count: number;
  readonly max: number;
  /** Since boot, all processors together. */
  readonly insertFailed: number;
  readonly drop: number;
}

/** A socket of the UDP table of the kernel. */
export interface UdpSocket {
  readonly address: string;
  readonly port: number;
  readonly family: Family;
  readonly waitingBytes: number;
  readonly drops: number;
}

/** /proc/net/udp and udp6: one line a socket, numbers in hex, addresses in words of the machine's byte order. */
export function udpSocketsIn(text: string, family: Family): UdpSocket[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const words = line.trim().split(/\s+/);
      const [address = '', port = ''] = (words[1] ?? '').split(':');
      const waiting = words[4]?.split(':')[1];
      const drops = words.at(-1);
      if (waiting === undefined || drops === undefined) return [];
      return {
        address: formatAddress(fromWords(address)),
        port: Number.parseInt(port, 16),
        family,
        waitingBytes: Number.parseInt(waiting, 16),
        drops: Number(drops),
      };
    });
}

/** Little-endian, as every machine that Kubernetes runs on but s390x. */
function fromWords(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, 'hex');
  return Uint8Array.from(bytes.length % 4 === 0 ? bytes.swap32() : bytes);
}

/**
 * /proc/net/stat/nf_conntrack: names of columns, then one line of hex numbers a processor. Undefined where it is not
 * such a table.
 */
export function conntrackIn(stat: string, count: string, max: string): Conntrack | undefined {
  const [names = '', ...lines] = stat.trim().split('\n');
  const columns = names.trim().split(/\s+/);
  const sum = (name: string): number => {
    const at = columns.indexOf(name);
    if (at === -1) return Number.NaN;
    const values = lines.map((line) => Number.parseInt(line.trim().split(/\s+/)[at] ?? '', 16));
    return values.reduce((total, value) => total + value, 0);
  };
  const numbers = {
    count: Number(count),
    max: Number(max),
    insertFailed: sum('insert_failed'),
    drop: sum('drop'),
  };
  return Object.values(numbers).every(Number.isFinite) ? numbers : undefined;
}

/**
 * Names this process for `ps`, `top` and the kernel's OOM report, where Node calls it MainThread. `process.title` would
 * overwrite the arguments as well. At most 15 characters.
 */
export function nameProcess(name: string): void {
  try {
    writeFileSync('/proc/self/comm', name);
  } catch {
    // Without a writable /proc only the name is missing.
  }
}
