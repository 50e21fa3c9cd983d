/**
 * A client that keeps one TCP connection for all its queries, as resolvers in long-lived programs do.
 *
 *     node one-connection.ts SERVER [PORT]
 *
 * PORT is the client's own port. Prints `connected`. Each line `TYPE NAME` on standard input sends a query, its ID counting from 1; each response is a
 * line `ID RCODE DATA...` on standard output. `ended`: the server has sent its FIN; `broken CODE`: there is no
 * connection any more. Ends with standard input.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { type Packet, streamDecode, streamEncode } from 'dns-packet';

const [server = '', ownPort] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const socket = connect({
  ...{ host: server, port: 53, noDelay: true, allowHalfOpen: true },
  localPort: ownPort === undefined ? undefined : Number(ownPort),
});
let lastId = 0;
let received = Buffer.alloc(0);

function dataOf(response: Packet): string[] {
  return (response.answers ?? []).flatMap((record) => {
    if (record.type === 'TXT') return [String(record.data)];
    return record.type === 'A' ? [record.data] : [];
  });
}

function take(): boolean {
  if (received.length < 2 || received.length < 2 + received.readUInt16BE()) return false;
  const end = 2 + received.readUInt16BE();
  const response = streamDecode(received.subarray(0, end)) as Packet & { rcode?: string };
  received = received.subarray(end);
  say([response.id, response.rcode, ...dataOf(response)].join(' '));
  return true;
}

socket.on('data', (bytes) => {
  received = Buffer.concat([received, bytes]);
  while (take());
});
socket.on('end', () => say('ended'));
socket.on('error', (error: NodeJS.ErrnoException) => say(`broken ${error.code}`));
socket.on('connect', () => {
  say('connected');
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const [type = '', name = ''] = line.split(' ');
      const questions = [{ type: type as 'A' | 'TXT', name, class: 'IN' as const }];
      lastId += 1;
      socket.write(streamEncode({ type: 'query', id: lastId, flags: 0x100, questions }));
    })
    .on('close', () => socket.destroy());
});
