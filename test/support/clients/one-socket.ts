/**
 * A client that keeps one connected UDP socket for all its queries, as resolvers in long-lived programs do.
 *
 *     node one-socket.ts SERVER
 *
 * Each line `NAME` on standard input sends a query for its A record, its ID counting from 1; each response is a line
 * `ID RCODE ADDRESS...` on standard output. Ends with standard input.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import { decode, encode, type Packet } from 'dns-packet';

const server = process.argv[2] ?? '';
const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
let lastId = 0;

function addressesIn(response: Packet): string[] {
  return (response.answers ?? []).flatMap((record) =>
    record.type === 'A' || record.type === 'AAAA' ? [record.data] : [],
  );
}

socket.on('message', (bytes) => {
  const response = decode(bytes) as Packet & { rcode?: string };
  process.stdout.write(`${[response.id, response.rcode, ...addressesIn(response)].join(' ')}\n`);
});
// An ICMP error is an event; the query stays unanswered.
socket.on('error', () => undefined);
socket.connect(53, server, () => {
  createInterface({ input: process.stdin })
    .on('line', (name) => {
      lastId += 1;
      const questions = [{ type: 'A' as const, name, class: 'IN' as const }];
      socket.send(encode({ type: 'query', id: lastId, flags: 0x100, questions }));
    })
    .on('close', () => socket.close());
});
