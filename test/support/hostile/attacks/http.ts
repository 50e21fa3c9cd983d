/** Attacks on the port for metrics. */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { RawClient } from '../raw-client.ts';
import { crowd, type Target } from './crowd.ts';

const HOST = '127.0.0.1';
const GET = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
const UNFINISHED = GET.slice(0, -2);
/** As many connections as the admin ports have places. */
const PLACES = 64;
const PIPELINED = 700;
const PAUSE_MS = 20;

type Attack = (target: Target) => Promise<unknown>;

/** Asks for /metrics for ever, as soon as it has its page or has lost its connection. */
export function scrapeForEver(port: number, localAddress: string, onPage: () => void): void {
  const socket = connect({ port, host: HOST, localAddress });
  let left = 0;
  socket.on('connect', () => socket.write(GET));
  socket.on('data', (chunk) => {
    const length = /Content-Length: (\d+)\r\n(?:.+\r\n)*\r\n/.exec(chunk.toString('latin1'));
    if (length === null) left -= chunk.length;
    else left = Number(length[1]) - (chunk.length - length.index - length[0].length);
    if (left > 0) return;
    onPage();
    socket.write(GET);
  });
  socket.on('error', () => {});
  socket.on('close', () => setTimeout(scrapeForEver, 1, port, localAddress, onPage));
}

const scrapers: Attack = ({ metrics, address }) => {
  for (let i = 0; i < PLACES; i++) scrapeForEver(metrics, address, () => {});
  return Promise.resolve();
};

/** Pages that their client does not read. */
const unreadPages: Attack = async ({ metrics, address }) => {
  for (;;) {
    const client = await RawClient.open({ port: metrics, localAddress: address });
    client.send(GET.repeat(PIPELINED));
    while (!client.isEnded) await pause(PAUSE_MS);
  }
};

const unfinishedRequests: Attack = ({ metrics, address }) =>
  crowd(
    { port: metrics, address },
    {
      size: PLACES,
      begin: (client) => {
        client.read();
        client.send(UNFINISHED);
      },
    },
  );

export const HTTP_ATTACKS = { scrapers, unreadPages, unfinishedRequests } satisfies Record<
  string,
  Attack
>;
