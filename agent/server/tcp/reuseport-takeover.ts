/** Opens a TCP listener next to an older one of the same address, and takes over its new connections at once. */
import { once } from 'node:events';
import type { Server } from 'node:net';
import { type Endpoint, familyOf } from '../../base/address.ts';
import { ADDRESS_BYTES, socketClientKey } from '../udp/addon-buffers.ts';

/** Maximum data in the kernel for one connection, each direction: twice what `native/tcp/listen.c` asks for. */
export const RECEIVE_BUFFER_BYTES = 2 * 16 * 1_024;
/** As `RECEIVE_BUFFER_BYTES`, for answers that the client has not read. */
export const SEND_BUFFER_BYTES = 2 * 32 * 1_024;

/** Exports of `native/tcp/listen.c`. */
export interface TakeoverAddon {
  /** Returns a listening socket's descriptor that gets every new connection. Throws the system's error. */
  listenWithTakeover(address: string, port: number, backlog: number): number;
  /** The next connection of a listening socket, or -1 if none can be accepted; writes its client's address to `peer`. */
  acceptNext(descriptor: number, peer: Uint8Array): number;
}

/** A connection without a Socket yet. */
export interface Accepted {
  readonly descriptor: number;
  /** `clientKey` of its client. */
  readonly key: string;
}

/** Accepts the next connection of a listener, while that listens; undefined if there is none. */
export type AcceptNext = () => Accepted | undefined;

/**
 * Makes `server` listen, and returns the function that accepts connections beside it, where there is one. Rejects with the
 * system's error.
 */
export type ListenTcp = (
  server: Server,
  endpoint: Endpoint,
  backlog: number,
) => Promise<AcceptNext | undefined>;

/** With `addon`: the newest listener of an address gets all its new connections. */
export function takeoverListen(addon: TakeoverAddon): ListenTcp {
  return async (server, { address, port }, backlog) => {
    const listening = addon.listenWithTakeover(address, port, backlog);
    server.listen({ fd: listening }, backlog);
    await once(server, 'listening');
    const peer = Buffer.alloc(ADDRESS_BYTES);
    return () => {
      const descriptor = addon.acceptNext(listening, peer);
      return descriptor < 0 ? undefined : { descriptor, key: socketClientKey(peer) };
    };
  };
}

/** Without the addon: the kernel spreads new connections over all listeners of an address. */
export const sharedListen: ListenTcp = async (server, { address, port }, backlog) => {
  const ipv6Only = familyOf(address) === 6;
  server.listen({ host: address, port, ipv6Only, backlog, exclusive: true, reusePort: true });
  await once(server, 'listening');
  return undefined;
};
