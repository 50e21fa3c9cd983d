/** Carries one DNS query to a server, over UDP or TCP. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { familyOf } from '../../agent/base/address.ts';
import { errnoOf } from '../../agent/base/errors.ts';
import { FrameReader, frame } from '../../agent/dns/frame.ts';

/** Where a query goes to, and from where. */
export interface Target {
  readonly address: string;
  readonly port: number;
  /** Where the query comes from; absent: the kernel selects both. */
  readonly source?: { readonly address: string; readonly port: number };
}

/**
 * What an exchange reports. Neither event ends it: a UDP server may answer twice, and `closed unanswered` also follows
 * an answer when the server closes TCP.
 */
export interface ExchangeEvents {
  /** A whole message, whatever it is. It is valid only during the call. */
  readonly onMessage: (message: Buffer) => void;
  /** Gets an errno, or `closed unanswered`. */
  readonly onError: (error: string) => void;
}

/** Sends `query`; the caller ends the exchange by calling the result. After that there are no events. */
export type Exchange = (target: Target, query: Uint8Array, events: ExchangeEvents) => () => void;

const overUdp: Exchange = ({ address, port, source }, query, { onMessage, onError }) => {
  const socket = createSocket(familyOf(address) === 6 ? 'udp6' : 'udp4');
  socket.on('error', (error) => onError(errnoOf(error)));
  socket.on('message', onMessage);
  // Connected: the kernel then reports ICMP "port unreachable", and drops datagrams of other senders.
  // By the event: a callback would also be called where that fails.
  socket.on('connect', () => socket.send(query));
  const reach = (): void => socket.connect(port, address);
  if (source === undefined) reach();
  else socket.bind({ ...source, exclusive: true }, reach);
  return () => {
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.close();
  };
};

const overTcp: Exchange = ({ address, port, source }, query, { onMessage, onError }) => {
  const local = source && { localAddress: source.address, localPort: source.port };
  const socket = connect({ host: address, port, ...local });
  const reader = new FrameReader();
  let isEnded = false;
  socket.on('connect', () => socket.write(frame(query)));
  socket.on('data', (chunk) =>
    reader.push(chunk, (message) => {
      if (!isEnded) onMessage(message);
    }),
  );
  socket.on('error', (error) => onError(errnoOf(error)));
  socket.on('close', () => onError('closed unanswered'));
  return () => {
    isEnded = true;
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    // Without a FIN there is no TIME_WAIT, which would keep the source port for a minute.
    if (source === undefined) socket.destroy();
    else socket.resetAndDestroy();
  };
};

/** One exchange for each transport. They have no timeout: the caller has to end them. */
export const EXCHANGES = { udp: overUdp, tcp: overTcp } as const;
