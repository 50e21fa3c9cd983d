/** Ports for the servers that a test starts. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const HOST = '127.0.0.1';
/** Below the kernel's ephemeral range: no client uses such a port before its server does. */
const FIRST = 10_000;
const COUNT = 10_000;
/** Test files that run in parallel choose different ports. */
const PER_PROCESS = 100;

let taken = 0;

/** A port of 127.0.0.1 that is free for UDP and TCP, a different one each time. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + ((process.pid * PER_PROCESS + taken++) % COUNT);
    const isFree = await Promise.all([isFreeForTcp(port), isFreeForUdp(port)]);
    if (isFree.every(Boolean)) return port;
  }
}

function isFreeForTcp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

function isFreeForUdp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind(port, HOST, () => socket.close(() => resolve(true)));
  });
}
