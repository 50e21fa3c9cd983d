/** Name servers that exist on a fake clock only: each address behaves as the test sets, over both transports. */
import type { Endpoint } from '../../../agent/base/address.ts';
import type { Clock } from '../../../agent/base/clock.ts';
import { buildResponse, type NewRecord, type NewResponse } from '../../../agent/dns/build.ts';
import { FrameReader, frame } from '../../../agent/dns/frame.ts';
import { FLAG, flagsOf, HEADER_BYTES, idOf, putU16 } from '../../../agent/dns/header.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../agent/dns/name.ts';
import type { UpstreamTls } from '../../../agent/query/services/upstreams.ts';
import type {
  DatagramEvents,
  DatagramPort,
  Dial,
  Sockets,
  StreamEvents,
  StreamPort,
} from '../../../agent/upstream/transport/ports.ts';
import { bareReplyTo, type SeenQuery, seenQuery } from '../upstream/messages.ts';

/**
 * - `drop`: packets are lost, open connections stay open and silent.
 * - `refuse`: port unreachable; `reset`: connections open, and are reset at a query.
 * - `truncated`: TC over UDP and TCP; `udp-truncated`: over UDP only.
 * - `garbage`: bytes that are no message; `wrong`: the answer to another question.
 * - `malformed`: an address that lacks a byte; `unrelated`: the address of another name.
 * - `dangling`: an alias to a name that does not exist.
 * - `edns-…`: good without OPT; a query with one is dropped, or answered with that code, or with nothing.
 */
export const STATES = [
  'good',
  'drop',
  'refuse',
  'reset',
  'servfail',
  'refused',
  'nxdomain',
  'nodata',
  'empty',
  'truncated',
  'udp-truncated',
  'garbage',
  'wrong',
  'malformed',
  'unrelated',
  'dangling',
  'edns-drop',
  'edns-servfail',
  'edns-refused',
  'edns-badvers',
  'edns-empty',
] as const;
export type State = (typeof STATES)[number];

export interface Behaviour {
  readonly state: State;
  /** Time to the reply, milliseconds. */
  readonly afterMs: number;
  readonly ttlSeconds: number;
  /** Bytes of the address in a good answer. */
  readonly address: readonly number[];
}

export const GOOD: Behaviour = {
  state: 'good',
  afterMs: 10,
  ttlSeconds: 60,
  address: [192, 0, 2, 1],
};

/** A query that reached a server; probes of its health aside. */
export interface Arrived extends SeenQuery {
  readonly atMs: number;
  readonly to: string;
  readonly transport: 'udp' | 'tcp';
  readonly nameText: string;
}

export class ScriptedSockets implements Sockets {
  readonly #clock: Clock;
  readonly #behaviours = new Map<string, Behaviour>();
  /** All queries, in order. */
  readonly arrived: Arrived[] = [];
  /** Health probes (NS of the root). */
  probes = 0;
  /** Returns the address of each good answer; by default that of the behaviour. */
  addressFor: (behaviour: Behaviour) => readonly number[] = ({ address }) => address;
  /** Called for each query that arrives, except probes. */
  onArrival: (query: Arrived) => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(address: string, behaviour: Behaviour): void {
    this.#behaviours.set(address, behaviour);
  }

  behaveLike(other: ScriptedSockets): void {
    for (const [address, behaviour] of other.#behaviours) this.set(address, behaviour);
  }

  of({ address }: Endpoint): Behaviour {
    return this.#behaviours.get(address) ?? GOOD;
  }

  datagram(to: Endpoint, events: DatagramEvents): DatagramPort {
    let isOpen = true;
    return {
      send: (message) => {
        this.#arrive(to, 'udp', message, {
          reply: (bytes) => isOpen && events.onMessage(bytes, to.address, to.port),
          fail: (errno) => isOpen && events.onError({ phase: 'wait', errno }),
        });
      },
      close: () => {
        isOpen = false;
      },
    };
  }

  stream(to: Endpoint, events: StreamEvents): StreamPort {
    const stream = new Stream(events);
    const { state, afterMs } = this.of(to);
    if (state === 'refuse') this.#clock.after(0, () => stream.closed('ECONNREFUSED'));
    else if (state !== 'drop') this.#clock.after(Math.min(afterMs, 10), () => stream.opened());
    stream.onMessage = (message) =>
      this.#arrive(to, 'tcp', message, {
        reply: (bytes) => stream.sends(frame(bytes)),
        fail: (errno) => stream.closed(errno),
      });
    return stream;
  }

  secure(to: Endpoint, _tls: UpstreamTls): Dial {
    return (events) => this.stream(to, events);
  }

  #arrive(to: Endpoint, transport: 'udp' | 'tcp', message: Buffer, way: Way): void {
    const seen = seenQuery(message);
    const nameText = nameToText(seen.head.name.subarray(0, seen.head.nameLength));
    const isProbe = nameText === '.' && seen.head.type === TYPE.NS;
    const query = { ...seen, atMs: this.#clock.nowMs(), to: to.address, transport, nameText };
    if (isProbe) this.probes++;
    else {
      this.arrived.push(query);
      this.onArrival(query);
    }
    const found = this.of(to);
    const behaviour = { ...found, state: withOrWithout(found.state, seen.head.hasOpt) };
    const { state, afterMs } = behaviour;
    if (state === 'drop') return;
    this.#clock.after(state === 'refuse' || state === 'reset' ? 0 : afterMs, () => {
      if (state === 'refuse' || state === 'reset') {
        way.fail(state === 'refuse' ? 'ECONNREFUSED' : 'ECONNRESET');
        return;
      }
      way.reply(replyOf(query, { ...behaviour, address: this.addressFor(behaviour) }));
    });
  }
}

/** The behaviour of a server without EDNS to a query with or without OPT. */
function withOrWithout(state: State, hasOpt: boolean): State {
  if (!state.startsWith('edns-')) return state;
  if (!hasOpt) return 'good';
  const bad = state.slice('edns-'.length);
  return STATES.find((each) => each === bad) ?? state;
}

interface Way {
  readonly reply: (bytes: Buffer) => void;
  readonly fail: (errno: string) => void;
}

class Stream implements StreamPort {
  onMessage: (message: Buffer) => void = () => {};
  readonly #events: StreamEvents;
  readonly #frames = new FrameReader();
  #isAlive = true;

  constructor(events: StreamEvents) {
    this.#events = events;
  }

  write(chunk: Buffer): void {
    this.#frames.push(Buffer.from(chunk), (message) => this.onMessage(message));
  }

  end(): void {
    this.closed(undefined);
  }

  destroy(): void {
    this.#isAlive = false;
  }

  opened(): void {
    if (this.#isAlive) this.#events.onOpen();
  }

  sends(bytes: Buffer): void {
    if (this.#isAlive) this.#events.onData(bytes);
  }

  closed(errno: string | undefined): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#events.onClose(errno);
  }
}

const RCODES: Readonly<Partial<Record<State, number>>> = {
  servfail: RCODE.SERVFAIL,
  refused: RCODE.REFUSED,
  nxdomain: RCODE.NXDOMAIN,
  dangling: RCODE.NXDOMAIN,
  'edns-badvers': RCODE.BADVERS,
};
const ZONE = nameFromText('example.org.');
const OTHER = nameFromText('evil.example.');

function replyOf(query: Arrived, behaviour: Behaviour): Buffer {
  const { message, head, transport } = query;
  const { state } = behaviour;
  // In the letter case of the query.
  const own = message.subarray(HEADER_BYTES, HEADER_BYTES + head.nameLength);
  const name = state === 'wrong' ? OTHER : own;
  const isCut = state === 'truncated' || (state === 'udp-truncated' && transport === 'udp');
  const flags = FLAG.RA | FLAG.AA | (flagsOf(message) & FLAG.RD) | (isCut ? FLAG.TC : 0);
  const question = { name, type: head.type, class: head.class };
  const rcode = RCODES[state] ?? RCODE.NOERROR;
  if (rcode > 0xf) return bareReplyTo(query, rcode, true);
  const wire = buildResponse(question, {
    rcode,
    flags,
    ...(isCut ? {} : sections(behaviour, head.type)),
  });
  putU16(wire, 0, idOf(message));
  // The header counts records, but there are none.
  if (state === 'garbage') putU16(wire, 6, 9);
  return wire;
}

function sections(behaviour: Behaviour, type: number): Partial<NewResponse> {
  const { state, ttlSeconds } = behaviour;
  if (state === 'nxdomain' || state === 'nodata') return { authority: [soa(ttlSeconds)] };
  if (state === 'dangling') {
    const alias = { type: TYPE.CNAME, ttlSeconds, rdata: OTHER };
    return { answer: [alias], authority: [soa(2 * ttlSeconds)] };
  }
  const address = addressRecord(behaviour, type);
  if (state === 'unrelated') return { answer: [{ ...address, name: OTHER }] };
  if (state === 'malformed') return { answer: [{ ...address, rdata: address.rdata.subarray(1) }] };
  return ['good', 'udp-truncated', 'wrong'].includes(state) ? { answer: [address] } : {};
}

function soa(ttlSeconds: number): NewRecord {
  const rdata = Buffer.alloc(22);
  rdata.writeUInt32BE(ttlSeconds, 18);
  return { name: ZONE, type: TYPE.SOA, ttlSeconds, rdata };
}

function addressRecord({ ttlSeconds, address }: Behaviour, type: number): NewRecord {
  if (type !== TYPE.AAAA) return { type: TYPE.A, ttlSeconds, rdata: Uint8Array.from(address) };
  const rdata = Uint8Array.from([...new Uint8Array(12), ...address]);
  return { type, ttlSeconds, rdata };
}
