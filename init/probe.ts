/** Asks the agent on a local IP whether it answers DNS, as a client would. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { familyOf } from '../agent/base/address.ts';
import type { Clock } from '../agent/base/clock.ts';

/** An agent that is well answers within one turn of its event loop. */
const PROBE_TIMEOUT_MS = 500;

/** Resolves to whether something on `address`:`port` answered; never rejects. */
export type Probe = (address: string, port: number) => Promise<boolean>;

export function udpProbe(clock: Clock): Probe {
  return (address, port) =>
    new Promise((resolve) => {
      const id = randomInt(0x1_0000);
      const socket = createSocket(familyOf(address) === 6 ? 'udp6' : 'udp4');
      const timer = clock.after(PROBE_TIMEOUT_MS, () => finish(false));
      const finish = (answered: boolean): void => {
        timer.cancel();
        socket.removeAllListeners();
        socket.on('error', () => undefined);
        socket.close();
        resolve(answered);
      };
      socket.on('error', () => finish(false));
      socket.on('message', (message) => {
        if (isAnswerTo(message, id)) finish(true);
      });
      // Connected, so that ICMP "port unreachable" is an answer, too, and strangers cannot reply.
      socket.on('connect', () => socket.send(probeQuery(id)));
      socket.connect(port, address);
    });
}

/**
 * Opcode STATUS: every DNS server answers it itself, with NOTIMP (RFC 1035 §4.1.1), so that the answer says nothing
 * about upstreams and costs them nothing. The question is the root's NS.
 */
export function probeQuery(id: number): Uint8Array {
  const header = [id >> 8, id & 0xff, 2 << 3, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...header, 0, 0, 2, 0, 1]);
}

function isAnswerTo(message: Uint8Array, id: number): boolean {
  if (message.length < 12) return false;
  const [high = 0, low = 0, flags = 0] = message;
  return ((high << 8) | low) === id && (flags & 0x80) !== 0;
}
