/** Sockets for tests: the test reads what is sent and sets what is received. */
import type { Endpoint } from '../../../agent/base/address.ts';
import { FrameReader, frame } from '../../../agent/dns/frame.ts';
import type { UpstreamTls } from '../../../agent/query/services/upstreams.ts';
import type { Failure } from '../../../agent/upstream/transport/failure.ts';
import type {
  DatagramEvents,
  DatagramPort,
  Dial,
  Sockets,
  StreamEvents,
  StreamPort,
} from '../../../agent/upstream/transport/ports.ts';
import { type ReplyFields, replyTo, type SeenQuery, seenQuery } from './messages.ts';

export class FakeDatagram implements DatagramPort {
  readonly to: Endpoint;
  readonly queries: SeenQuery[] = [];
  isClosed = false;
  readonly #events: DatagramEvents;

  constructor(to: Endpoint, events: DatagramEvents) {
    this.to = to;
    this.#events = events;
  }

  send(message: Buffer): void {
    this.queries.push(seenQuery(message));
  }

  close(): void {
    this.isClosed = true;
  }

  /** Delivers `message`, by default from the right source. */
  deliver(message: Buffer, from: Endpoint = this.to): void {
    this.#events.onMessage(message, from.address, from.port);
  }

  /** Answers the query sent last, or `query`. */
  answer(fields: ReplyFields, query = this.queries.at(-1) as SeenQuery): void {
    this.deliver(replyTo(query, fields));
  }

  fail(failure: Failure): void {
    this.#events.onError(failure);
  }
}

export class FakeStream implements StreamPort {
  readonly to: Endpoint;
  readonly queries: SeenQuery[] = [];
  /** Number of `write` calls, and the queries of each. */
  writes = 0;
  readonly batches: SeenQuery[][] = [];
  state: 'open' | 'ended' | 'destroyed' = 'open';
  readonly #events: StreamEvents;
  readonly #frames = new FrameReader();

  constructor(to: Endpoint, events: StreamEvents) {
    this.to = to;
    this.#events = events;
  }

  write(chunk: Buffer): void {
    this.writes++;
    const batch: SeenQuery[] = [];
    this.#frames.push(chunk, (message) => void batch.push(seenQuery(message)));
    this.queries.push(...batch);
    this.batches.push(batch);
  }

  end(): void {
    this.state = 'ended';
  }

  destroy(): void {
    this.state = 'destroyed';
  }

  /** The connection is open, TLS is not yet. */
  shakeHands(): void {
    this.#events.onHandshake();
  }

  open(): void {
    this.#events.onOpen();
  }

  deliver(chunk: Buffer): void {
    this.#events.onData(chunk);
  }

  answer(fields: ReplyFields, query = this.queries.at(-1) as SeenQuery): void {
    this.deliver(frame(replyTo(query, fields)));
  }

  /** The other side closes, or resets with `errno`. */
  close(errno?: string): void {
    this.#events.onClose(errno);
  }
}

/** All sockets, in order. */
export class FakeSockets implements Sockets {
  readonly datagrams: FakeDatagram[] = [];
  readonly streams: FakeStream[] = [];

  datagram(to: Endpoint, events: DatagramEvents): DatagramPort {
    const socket = new FakeDatagram(to, events);
    this.datagrams.push(socket);
    return socket;
  }

  stream(to: Endpoint, events: StreamEvents): StreamPort {
    const socket = new FakeStream(to, events);
    this.streams.push(socket);
    return socket;
  }

  secure(to: Endpoint, _tls: UpstreamTls): Dial {
    return (events) => this.stream(to, events);
  }

  /** The datagram socket made last for `address`. */
  udp(address: string): FakeDatagram {
    const found = this.datagrams.findLast(({ to }) => to.address === address);
    if (found === undefined) throw new Error(`nothing was sent to ${address} over UDP`);
    return found;
  }

  /** The connection made last to `address`. */
  tcp(address: string): FakeStream {
    const found = this.streams.findLast(({ to }) => to.address === address);
    if (found === undefined) throw new Error(`no connection to ${address}`);
    return found;
  }
}
