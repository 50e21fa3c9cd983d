/**
 * A DNS server that answers everything with one TXT record: its own name, so that a test sees which server answered. Arguments:
 * name, then the addresses to bind on port 53, UDP and TCP. Prints `listening` when all are bound. UDP answers are delayed
 * by DELAY_MS of the environment. With AS_COREDNS it refuses classes other than IN, as CoreDNS does.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const REFUSED = 5;
const delayMs = Number(process.env.DELAY_MS ?? 0);
const isCoreDns = process.env.AS_COREDNS !== undefined;
const [name = '', ...addresses] = process.argv.slice(2);

/** The query's header and question with QR set, and the TXT record pointing back to the question's name. */
function answerTo(query: Buffer): Buffer {
  let end = 12;
  for (let length = query[end]; length !== undefined && length !== 0; length = query[end])
    end += length + 1;
  const question = Buffer.from(query.subarray(0, end + 5));
  question[2] = (question[2] as number) | 0x80;
  question.writeUInt16BE(1, 4);
  question.writeUInt16BE(1, 6);
  question.writeUInt32BE(0, 8);
  if (isCoreDns && question.readUInt16BE(end + 3) !== 1) {
    question.writeUInt16BE(0, 6);
    question[3] = REFUSED;
    return question;
  }
  const text = Buffer.from(name);
  const record = [0xc0, 0x0c, 0, 16, 0, 1, 0, 0, 0, 0, 0, text.length + 1, text.length];
  return Buffer.concat([question, Buffer.from(record), text]);
}

const bound = addresses.flatMap((address) => {
  const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', (query, from) => {
    setTimeout(() => udp.send(answerTo(query), from.port, from.address), delayMs);
  });
  const tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (frame) => {
      const answer = answerTo(frame.subarray(2));
      socket.write(
        Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]),
      );
    });
  });
  return [
    new Promise<void>((resolve) => udp.bind(53, address, resolve)),
    new Promise<void>((resolve) => tcp.listen(53, address, resolve)),
  ];
});
await Promise.all(bound);
process.stdout.write('listening\n');
