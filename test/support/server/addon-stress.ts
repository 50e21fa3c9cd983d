/**
 * Stresses the agent's addon, in the folder given as argument, for some rounds: floods of datagrams of any length; replies
 * of any length, at once and late; closing under load; garbage collection; sockets whose upstream answers anything. Prints
 * `survived` and the number of datagrams handled.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Client } from '../../../agent/query/query.ts';
import type { BatchAddon } from '../../../agent/server/udp/addon-buffers.ts';
import { batchOpener } from '../../../agent/server/udp/batch.ts';
import { connectedOpener } from '../../../agent/server/udp/connected.ts';

const [folder = '', rounds = '40'] = process.argv.slice(2);
const load = createRequire(import.meta.url);
const addon = load(join(folder, 'agent.node')) as BatchAddon;
const open = batchOpener(addon);
const { connect, exchangeNow } = connectedOpener(addon);
/** For queries of the agent. */
const ASKED = [0, 12, 40, 300, 4_096, 20_000];
const LENGTHS = [0, 1, 11, 12, 40, 512, 1_232, 4_095, 4_096, 4_097, 30_000, 65_507];
let handled = 0;

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T;
}

/** A socket bound to `bound`, asked at `address`. */
async function round(bound: string, address: string): Promise<void> {
  const late: Client[] = [];
  let left = Math.floor(Math.random() * 300) + 100;
  const transport = await open({
    endpoint: { address: bound, port: 0 },
    receiveBufferBytes: pick([4_096, 1 << 20]),
    receiveDrops: { value: 0 },
    onError: () => undefined,
    sink: {
      batchStart: () => undefined,
      batchEnd: () => undefined,
      datagram(self, slot, wire, length, out) {
        handled++;
        if (--left === 0) void self.close();
        const chance = Math.random();
        if (Math.random() < 0.05) self.exchangeNow();
        if (chance < 0.1) throw new Error('handler');
        if (chance < 0.3) late.push(self.clientOf(slot));
        if (chance < 0.5) self.send(Buffer.alloc(pick(LENGTHS) + 10, 1), self.clientOf(slot));
        return chance < 0.6 ? wire.copy(out, 0, 0, length) : Math.floor(chance * 4_096);
      },
    },
  });
  const isV6 = address.includes(':');
  const senders = [0, 1, 2].map(() => createSocket(isV6 ? 'udp6' : 'udp4'));
  for (let i = 0; i < 600; i++) {
    pick(senders).send(Buffer.alloc(pick(LENGTHS), i), transport.endpoint.port, address);
    if (i % 50 === 0) await new Promise(setImmediate);
    if (i % 70 === 0) transport.exchangeNow();
  }
  for (const client of late) transport.send(Buffer.alloc(pick(LENGTHS)), client);
  const closing = transport.close();
  for (const client of late) transport.send(Buffer.alloc(10), client);
  await closing;
  for (const sender of senders) sender.close();
}

/** Several sockets query a server that answers anything at once; one of them queries a server that never answers. */
async function askingRound(address: string): Promise<void> {
  const server = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  server.on('message', (_, from) => {
    for (let i = 0; i < 3; i++) server.send(Buffer.alloc(pick(LENGTHS)), from.port, address);
  });
  server.on('error', () => undefined);
  server.bind(0, address);
  await once(server, 'listening');
  const { port } = server.address();
  const sockets = [port, port, port, 1].map((to) => {
    let left = 100;
    const socket = connect(
      { address, port: to },
      {
        onMessage(message) {
          handled++;
          message.fill(0);
          if (--left === 0) socket.close();
          if (Math.random() < 0.05) exchangeNow();
          if (Math.random() < 0.3) pick(sockets).send(Buffer.alloc(pick(ASKED)));
        },
        onError: () => socket.close(),
      },
    );
    return socket;
  });
  for (let i = 0; i < 200; i++) {
    pick(sockets).send(Buffer.alloc(pick(ASKED), i));
    if (i % 7 === 0) exchangeNow();
    if (i % 20 === 0) await new Promise(setImmediate);
  }
  for (const socket of sockets) socket.close();
  for (const socket of sockets) socket.send(Buffer.alloc(10));
  server.close();
}

for (let i = 0; i < Number(rounds); i++) {
  const address = i % 2 === 0 ? '127.0.0.1' : '::1';
  await round(address, address);
  await round(i % 2 === 0 ? '0.0.0.0' : '::', address);
  await askingRound(address);
  globalThis.gc?.();
}
process.stdout.write(`survived ${handled}\n`);
