/**
 * A kube-dns pod: answers queries for the headless Service of kube-dns from a file, and TXT
 * queries with its own name, so that a test sees which server answered. Arguments: name, the file, then what to bind
 * (`10.2.0.2:53`, `[fd02::2]:1053`), UDP and TCP. Prints `listening` when all are bound.
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import dnsPacket, { type Answer } from 'dns-packet';
import { type Endpoint, familyOf, parseEndpoint } from '../../../agent/base/address.ts';

/** Content of the file: the endpoints of the Service, none for no such name. */
export interface HeadlessService {
  readonly name: string;
  readonly ttlSeconds: number;
  readonly endpoints: readonly Endpoint[];
}

const [name = '', file = '', ...bound] = process.argv.slice(2);

function answersTo(asked: string, type: string): { answers: Answer[]; additionals: Answer[] } {
  if (type === 'TXT')
    return { answers: [{ type, name: asked, ttl: 0, data: name }], additionals: [] };
  const service = JSON.parse(readFileSync(file, 'utf8')) as HeadlessService;
  const isPort = ['_dns._udp', '_dns-tcp._tcp'].some((port) => asked === `${port}.${service.name}`);
  if (type !== 'SRV' || !isPort) return { answers: [], additionals: [] };
  const ttl = service.ttlSeconds;
  const targets = service.endpoints.map((endpoint, i) => ({
    ...endpoint,
    target: `pod${i}.${service.name}`,
  }));
  return {
    answers: targets.map(({ target, port }) => ({
      type,
      name: asked,
      ttl,
      data: { target, port },
    })),
    additionals: targets.map(({ target, address }) => ({
      type: familyOf(address) === 4 ? 'A' : 'AAAA',
      name: target,
      ttl,
      data: address,
    })),
  };
}

function reply(query: Buffer): Buffer {
  const { id, questions = [] } = dnsPacket.decode(query);
  const [question] = questions;
  const { answers, additionals } = answersTo(
    (question?.name ?? '').toLowerCase(),
    question?.type ?? 'A',
  );
  return dnsPacket.encode({ type: 'response', id, questions, answers, additionals });
}

function bind({ address, port }: Endpoint): Promise<void>[] {
  const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', (query, from) => udp.send(reply(query), from.port, from.address));
  const tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (frame) => {
      const answer = reply(frame.subarray(2));
      socket.write(
        Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]),
      );
    });
  });
  return [
    new Promise<void>((resolve) => udp.bind(port, address, resolve)),
    new Promise<void>((resolve) => tcp.listen(port, address, resolve)),
  ];
}

if (import.meta.main) {
  await Promise.all(bound.flatMap((text) => bind(parseEndpoint(text, 53) as Endpoint)));
  process.stdout.write('listening\n');
}
