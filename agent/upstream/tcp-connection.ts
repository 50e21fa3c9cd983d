/** One persistent connection: queries pipelined, replies matched by ID in any order (RFC 7766 §6.2.1.1, §7). */
import { FrameReader } from '../dns/frame.ts';
import { putU16 } from '../dns/header.ts';
import { type Deadlines, type Expiring, NOT_WAITING } from './deadlines.ts';
import type { Carrier, Flight } from './flight.ts';
import { freeId } from './ids.ts';
import { type Mismatch, matchReply } from './match.ts';
import type { StreamPort } from './ports.ts';
import type { RoundTrip } from './round-trip.ts';
import type { SocketContext } from './udp-socket.ts';

/** Covers one lost SYN (RFC 6298 §2: 1 s). */
const CONNECT_TIMEOUT_MS = 2_000;
/** A server that sends so many messages in a row that nobody asked for is not one. */
const MAX_STRAY_MESSAGES = 1_000;

export interface ConnectionEvents {
  /** It is gone. `orphans` have not been answered; `wasOpen` tells a broken connection from one that never was. */
  onGone(
    connection: TcpConnection,
    orphans: readonly Flight[],
    wasOpen: boolean,
    errno: string,
  ): void;
}

export interface ConnectionContext extends SocketContext {
  readonly deadlines: Deadlines;
  readonly roundTrip: RoundTrip;
}

export class TcpConnection implements Carrier, Expiring {
  dueTick = NOT_WAITING;
  readonly #context: ConnectionContext;
  readonly #events: ConnectionEvents;
  readonly #port: StreamPort;
  readonly #frames = new FrameReader();
  /** In the order of sending: the first is the oldest. */
  readonly #inFlight = new Map<number, Flight>();
  #unsent: Flight[] = [];
  #state: 'connecting' | 'open' | 'gone' = 'connecting';
  #lastHeardMs: number;
  #strays = 0;

  constructor(context: ConnectionContext, events: ConnectionEvents) {
    this.#context = context;
    this.#events = events;
    this.#lastHeardMs = context.clock.nowMs();
    context.meters.tcp.connections.value++;
    context.deadlines.set(this, this.#lastHeardMs + CONNECT_TIMEOUT_MS);
    this.#port = context.sockets.stream(context.endpoint, {
      onOpen: () => this.#open(),
      onData: (chunk) => this.#frames.push(chunk, this.#receive),
      onClose: (errno) => this.#gone(errno ?? 'ECONNRESET'),
    });
  }

  get load(): number {
    return this.#inFlight.size;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get phase(): 'connect' | 'wait' {
    return this.#state === 'connecting' ? 'connect' : 'wait';
  }

  /** Whether nothing has been heard for longer than usual although something should have been. */
  isSilent(nowMs: number): boolean {
    const [oldest] = this.#inFlight.values();
    return oldest !== undefined && this.#isSilentSince(oldest, nowMs);
  }

  /** How long it has had nothing to do, milliseconds. */
  idleMs(nowMs: number): number {
    return this.#inFlight.size > 0 ? 0 : nowMs - this.#lastHeardMs;
  }

  send(flight: Flight): void {
    const { ids, clock, meters } = this.#context;
    flight.id = freeId(ids, this.#inFlight);
    flight.sentMs = clock.nowMs();
    flight.carrier = this;
    this.#inFlight.set(flight.id, flight);
    meters.tcp.queries.value++;
    this.#unsent.push(flight);
    // One write for everything that comes in this turn of the event loop.
    if (this.#unsent.length === 1 && this.#state === 'open') setImmediate(this.#flush);
  }

  /** A connection that has been silent ever since it carried a query given up now is half open: it is dropped. */
  abandon(flight: Flight): void {
    this.#inFlight.delete(flight.id);
    const isDead = this.isOpen && this.#isSilentSince(flight, this.#context.clock.nowMs());
    if (isDead) this.destroy('ETIMEDOUT');
  }

  /** Closes an idle connection the polite way. */
  end(): void {
    this.#leave();
    this.#port.end();
  }

  /** Drops it and hands on what is in flight. */
  destroy(errno: string): void {
    this.#port.destroy();
    this.#gone(errno);
  }

  onDeadline(): void {
    if (this.#state === 'connecting') this.destroy('ETIMEDOUT');
  }

  #isSilentSince(flight: Flight, nowMs: number): boolean {
    const sinceMs = Math.max(flight.sentMs, this.#lastHeardMs);
    return nowMs - sinceMs >= this.#context.roundTrip.patienceMs;
  }

  #open(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    this.#lastHeardMs = this.#context.clock.nowMs();
    this.#context.deadlines.clear(this);
    this.#flush();
  }

  readonly #flush = (): void => {
    if (this.#state !== 'open') return;
    const messages = this.#unsent.filter((flight) => flight.carrier === this).map(encode);
    this.#unsent = [];
    if (messages.length === 0) return;
    const chunk = Buffer.allocUnsafe(messages.reduce((sum, { length }) => sum + length + 2, 0));
    let at = 0;
    for (const message of messages) {
      putU16(chunk, at, message.length);
      chunk.set(message, at + 2);
      at += message.length + 2;
    }
    this.#port.write(chunk);
  };

  readonly #receive = (message: Buffer): void => {
    if (this.#state === 'gone') return;
    this.#lastHeardMs = this.#context.clock.nowMs();
    const match = matchReply(message, this.#inFlight);
    if (typeof match === 'string') {
      this.#stray(match);
      return;
    }
    this.#strays = 0;
    this.#inFlight.delete(match.id);
    match.carrier = undefined;
    match.owner.onReply(match, message);
  };

  #stray(reason: Mismatch): void {
    this.#context.meters.mismatched(reason);
    if (++this.#strays >= MAX_STRAY_MESSAGES) this.destroy('EPROTO');
  }

  #gone(errno: string): void {
    const wasOpen = this.#state === 'open';
    if (!this.#leave()) return;
    const orphans = [...this.#inFlight.values()];
    this.#inFlight.clear();
    for (const flight of orphans) flight.carrier = undefined;
    this.#events.onGone(this, orphans, wasOpen, errno);
  }

  /** False where it had gone already. */
  #leave(): boolean {
    if (this.#state === 'gone') return false;
    this.#state = 'gone';
    this.#unsent = [];
    this.#context.deadlines.clear(this);
    this.#context.meters.tcp.connections.value--;
    return true;
  }
}

const encode = (flight: Flight): Buffer => flight.encode();
