/**
 * An agent without sockets, whose upstream answers in the next turn of the event loop: from the bytes of a query to the
 * bytes of its response, with the chain of an ordinary block.
 */
import { MemoryLedger } from '../../../agent/base/clients/memory-ledger.ts';
import type { Clock } from '../../../agent/base/clock.ts';
import { createCache } from '../../../agent/cache/cache.ts';
import { BlockIdentities } from '../../../agent/daemon/configuration/block-ids.ts';
import { buildServerConfig } from '../../../agent/daemon/configuration/server-config-builder.ts';
import { clientLimits } from '../../../agent/observe/log/client-limits.ts';
import { createLogger } from '../../../agent/observe/log/log.ts';
import { TrafficTable } from '../../../agent/observe/metrics/request-metrics.ts';
import type { Client } from '../../../agent/query/query.ts';
import { clientAt } from '../../../agent/query/query.ts';
import type { Metrics } from '../../../agent/query/services/metrics.ts';
import { AnswerDurations } from '../../../agent/server/answer-durations.ts';
import { Dispatcher } from '../../../agent/server/dispatch.ts';
import { PENDING, QueryProcessor } from '../../../agent/server/query-processor.ts';
import type { Sockets, StreamEvents } from '../../../agent/upstream/transport/ports.ts';
import { createUpstreams } from '../../../agent/upstream/upstreams.ts';
import { parseText } from '../../support/corefiles/parse.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { queryWire, SERVER } from '../../support/server/fixture.ts';
import { fakeServices } from '../../support/services.ts';

/** Entries of the cache: a miss evicts one, as in a cache that is full. */
const CAPACITY = 1_000;
/** Queries of one turn of the event loop. */
const TURN = 32;

const corefile = (transport: 'tcp' | 'udp'): string => `.:53 {
  bind 127.0.0.1
  prometheus 127.0.0.1:9253
  errors
  loop
  cache {
    success ${CAPACITY} 3600
    denial ${CAPACITY} 1800
  }
  forward . 192.0.2.53 {
    ${transport === 'tcp' ? 'force_tcp' : 'prefer_udp'}
  }
}`;

/** Like a machine's clock it returns fractions of milliseconds, which are objects where code keeps them. */
class FractionalClock extends FakeClock {
  #reads = 0;

  override nowMs(): number {
    return super.nowMs() + ++this.#reads / 1e6;
  }
}

/** Owner, type, class, a TTL of an hour, and four bytes. */
const RECORD = Uint8Array.of(0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1);

/** Writes the answer to the query in `[start, end)` of `from` to `to` at `at`; returns its end. */
function putAnswer(from: Uint8Array, start: number, to: Uint8Array, at: number): number {
  let end = start + 12;
  while (from[end] !== 0) end += (from[end] as number) + 1;
  const length = end + 5 - start;
  for (let i = 0; i < length; i++) to[at + i] = from[start + i] as number;
  to[at + 2] = 0x81;
  to[at + 3] = 0x80;
  to[at + 7] = 1;
  to[at + 11] = 0;
  for (let i = 0; i < RECORD.length; i++) to[at + length + i] = RECORD[i] as number;
  return at + length + RECORD.length;
}

const REPLIES_BYTES = 64 * 1_024;

/** Sockets to an upstream that has an address for each name. They allocate next to nothing. */
const sockets: Sockets = {
  stream(_to, events: StreamEvents) {
    const replies = Buffer.alloc(REPLIES_BYTES);
    setImmediate(() => events.onOpen());
    return {
      write(chunk) {
        let at = 0;
        for (let from = 0; from < chunk.length; from += 2 + chunk.readUInt16BE(from)) {
          const end = putAnswer(chunk, from + 2, replies, at + 2);
          replies.writeUInt16BE(end - at - 2, at);
          at = end;
        }
        const answered = replies.subarray(0, at);
        setImmediate(() => events.onData(answered));
      },
      end: () => undefined,
      destroy: () => undefined,
    };
  },
  datagram(to, events) {
    const replies = Buffer.alloc(REPLIES_BYTES);
    let waiting: number[] = [];
    let at = 0;
    const deliver = (): void => {
      const ends = waiting;
      waiting = [];
      let from = 0;
      for (const end of ends) {
        events.onMessage(replies.subarray(from, end), to.address, to.port);
        from = end;
      }
    };
    return {
      send(message) {
        if (waiting.length === 0) {
          at = 0;
          setImmediate(deliver);
        }
        at = putAnswer(message, 0, replies, at);
        waiting.push(at);
      },
      close: () => undefined,
    };
  },
  secure: () => {
    throw new Error('no TLS here');
  },
};

const CLIENT = clientAt('127.0.0.1', 5_353);
const client = (): Client => CLIENT;

/** Each asks `count` times and ends when all are answered. Throws if the cache does not do what is asked for. */
export interface Script {
  /** The name of the last miss, again and again. */
  hits(count: number): void;
  /** A new name each time. */
  misses(count: number): Promise<void>;
  /** A new name each time, by a client that has no room to wait: the upstream must be silent. */
  refusals(count: number): void;
  /** Queries until the client has no room. */
  fill(): void;
  stop(): void;
}

/** An upstream that never answers. */
const SILENT: Sockets = {
  ...sockets,
  datagram: () => ({ send: () => undefined, close: () => undefined }),
};
/** For the queries that wait for it. */
const ROOM_BYTES = 2 ** 20;

/** As the ledger of the process, which reports the clients that it limits. */
function ledgerOf(clock: Clock, metrics: Metrics): MemoryLedger {
  const limited = clientLimits(metrics, createLogger({ level: 'info', writeLine() {}, clock }));
  return new MemoryLedger({
    clientBudgetBytes: ROOM_BYTES,
    fileBudgetBytes: 0,
    onLimited: ({ key }) => limited('queries', key),
  });
}

interface Parts {
  readonly clock: Clock;
  readonly processor: QueryProcessor;
  stop(): void;
}

function startParts(transport: 'tcp' | 'udp', isSilent: boolean): Parts {
  const clock = new FractionalClock();
  const base = fakeServices({ clock });
  const { log, metrics, random } = base;
  const ledger = isSilent ? ledgerOf(clock, metrics) : base.ledger;
  const shared = { clock, log, metrics, ledger, random };
  const cache = createCache({ ...shared, totalBytes: 64 * 2 ** 20 });
  const parts = { sockets: isSilent ? SILENT : sockets, reportLack: () => undefined };
  const upstreams = createUpstreams({ ...shared, ...parts });
  const traffic = new TrafficTable();
  const config = buildServerConfig(parseText(corefile(transport)), {
    shared: { ...base, cache, upstreams },
    identities: new BlockIdentities(() => undefined),
    interfaces: () => new Map(),
    notReadyReasons: () => [],
    label: () => SERVER,
    requestMetrics: (server, zone, view) => traffic.row(server, zone, view),
  });
  const dispatcher = new Dispatcher(log, metrics.counter('coredns_panics_total'));
  dispatcher.swap(config.tables);
  const count = { value: 0 };
  const refused = {
    ...{ tooShort: count, notAQuery: count, formErr: count, notImp: count, badVers: count },
  };
  const counters = { ...refused, durations: new AnswerDurations(metrics) };
  const processor = new QueryProcessor(SERVER, 'udp', dispatcher, clock, counters);
  const stop = (): void => {
    for (const plugin of config.plugins) plugin.stop?.();
    cache.close();
  };
  return { clock, processor, stop };
}

/** `transport` is that of the upstream, and `isSilent` whether it never answers. */
export function startScript(transport: 'tcp' | 'udp', isSilent = false): Script {
  const { clock, processor, stop } = startParts(transport, isSilent);
  const wire = queryWire('n0000000.cdn.example.net', 1, 1_232);
  const out = Buffer.alloc(4_096);
  let answered = 0;
  const deliver = (): void => {
    answered++;
  };
  const receive = (arrivedMs: number): number =>
    processor.receive(wire, wire.length, arrivedMs, client, out, deliver);
  let asked = 0;
  const nextName = (): void => {
    asked++;
    for (let at = 20, rest = asked; at > 13; at--, rest = Math.floor(rest / 10))
      wire[at] = 48 + (rest % 10);
  };
  return {
    hits(number) {
      for (let left = number; left > 0; left -= TURN) {
        const arrivedMs = clock.nowMs();
        for (let i = Math.min(TURN, left); i > 0; i--)
          if (receive(arrivedMs) <= 0) throw new Error('that was no hit');
        processor.flushDurations();
      }
    },
    async misses(number) {
      const until = answered + number;
      for (let left = number; left > 0; left -= TURN) {
        const arrivedMs = clock.nowMs();
        for (let i = Math.min(TURN, left); i > 0; i--) {
          nextName();
          if (receive(arrivedMs) > 0) throw new Error('that was a hit');
        }
        while (processor.pending > 0) await settle();
      }
      if (answered !== until) throw new Error(`${until - answered} queries got no answer`);
    },
    refusals(number) {
      for (let left = number; left > 0; left -= TURN) {
        const arrivedMs = clock.nowMs();
        for (let i = Math.min(TURN, left); i > 0; i--) {
          nextName();
          if (receive(arrivedMs) <= 0) throw new Error('there was room');
        }
        processor.flushDurations();
      }
    },
    fill() {
      do nextName();
      while (receive(clock.nowMs()) === PENDING);
    },
    stop,
  };
}
