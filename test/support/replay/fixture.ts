/** The whole chain of a Corefile (routing, plugins, cache, upstream room, response) on a fake clock, without sockets. */
import { decode } from 'dns-packet';
import { type Endpoint, formatEndpoint } from '../../../agent/base/address.ts';
import { createCache, type ProcessCache } from '../../../agent/cache/cache.ts';
import { BlockIdentities } from '../../../agent/daemon/configuration/block-ids.ts';
import {
  buildServerConfig,
  type ServerConfig,
} from '../../../agent/daemon/configuration/server-config-builder.ts';
import { buildQuery } from '../../../agent/dns/build.ts';
import { FLAG, flagsOf, RCODE_MASK, u16 } from '../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readQueryHead, VERDICT } from '../../../agent/dns/query-head.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { clientAt, Query, type Transport } from '../../../agent/query/query.ts';
import type { ServerLabel } from '../../../agent/query/services/block.ts';
import type { Upstreams } from '../../../agent/query/services/upstreams.ts';
import { Dispatcher } from '../../../agent/server/dispatch.ts';
import { respond, responseCapacity } from '../../../agent/server/respond.ts';
import { createUpstreams, type UpstreamsRoom } from '../../../agent/upstream/upstreams.ts';
import { parseText } from '../corefiles/parse.ts';
import { FakeClock } from '../fake-clock.ts';
import { ledgerWith } from '../ledger.ts';
import { RecordingMetrics } from '../server/fixture.ts';
import { fakeServices, ReadableMetrics, RecordingLogger } from '../services.ts';
import { ScriptedSockets } from './upstream.ts';

const ADDRESS = '127.0.0.1';
/** How long the chains of a former configuration are kept, as the daemon does. */
const RETIRE_MS = 4_000;
const EDE_OPTION = 15;

/** dns-packet does not know all codes. */
interface EdnsOption {
  readonly code: number;
  readonly data: Buffer;
}

export interface AskFields {
  readonly name: string;
  readonly type: keyof typeof TYPE;
  readonly dnssecOk?: boolean;
  readonly checkingDisabled?: boolean;
  readonly edns?: boolean;
  readonly transport?: Transport;
  /** EDNS options of the client, as on the wire. */
  readonly options?: Uint8Array;
}

/** The client's answer. */
export interface Got {
  readonly rcode: number;
  readonly flags: number;
  /** `TTL data` of the answer section's A and AAAA records. */
  readonly addresses: readonly string[];
  readonly ttlSeconds: number | undefined;
  /** Info code of the extended error. */
  readonly extended: number | undefined;
  readonly afterMs: number;
  readonly wire: Buffer;
}

/** A client's question; `got` is set when it is answered. */
export interface Asked {
  readonly fields: AskFields;
  readonly askedMs: number;
  got: Got | undefined;
}

export interface WorldOptions {
  /** The initial time of its clock, milliseconds. */
  readonly startMs?: number;
  readonly totalBytes?: number;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Wraps the upstream room for `forward`. */
  readonly watch?: (room: UpstreamsRoom) => Upstreams;
}

export class ReplayFixture {
  readonly clock: FakeClock;
  readonly metrics = new ReadableMetrics();
  readonly log = new RecordingLogger();
  readonly upstream: ScriptedSockets;
  readonly cache: ProcessCache;
  readonly room: UpstreamsRoom;
  readonly #upstreams: Upstreams;
  readonly #dispatcher: Dispatcher;
  readonly #identities = new BlockIdentities(() => {});
  readonly #labels = new Map<string, ServerLabel>();
  readonly #options: WorldOptions;
  #serverConfig: ServerConfig | undefined;
  #corefile = '';
  #id = 0;

  constructor(corefile: string, options: WorldOptions = {}) {
    const { totalBytes = 8_000_000, random = () => 0, watch = (room) => room } = options;
    this.#options = options;
    this.clock = new FakeClock(options.startMs);
    this.upstream = new ScriptedSockets(this.clock);
    const { clock, metrics, log, upstream: sockets } = this;
    const ledger = ledgerWith();
    this.cache = createCache({ clock, metrics, log, totalBytes, random, ledger });
    let id = 0;
    const ids = (): number => id++ & 0xffff;
    this.room = createUpstreams({ clock, metrics, log, sockets, ids, random, ledger });
    this.#upstreams = watch(this.room);
    this.#dispatcher = new Dispatcher(log, metrics.counter('coredns_panics_total'));
    this.configure(corefile);
  }

  /** Applies a Corefile, as a reload does. */
  configure(text: string): void {
    const before = this.#serverConfig;
    const { clock, metrics, log, cache } = this;
    const shared = fakeServices({ clock, metrics, log, cache, upstreams: this.#upstreams });
    const next = buildServerConfig(parseText(text), {
      shared,
      identities: this.#identities,
      interfaces: () => new Map([['lo', [ADDRESS]]]),
      notReadyReasons: () => [],
      label: (endpoint) => this.#label(endpoint),
      requestMetrics: () => new RecordingMetrics(),
    });
    this.#dispatcher.swap(next.tables);
    for (const plugin of next.plugins) plugin.start?.();
    this.#serverConfig = next;
    this.#corefile = text;
    if (before === undefined) return;
    clock.after(RETIRE_MS, () => {
      for (const plugin of before.plugins) plugin.stop?.();
    });
  }

  /** `onGot` is called at the moment of the answer. */
  ask(fields: AskFields, onGot: (got: Got) => void = () => {}): Asked {
    const asked: Asked = { fields, askedMs: this.clock.nowMs(), got: undefined };
    const query = this.#query(fields);
    const finish = (answer: Answer): void => {
      asked.got = this.#read(query, answer, asked.askedMs);
      onGot(asked.got);
    };
    const result = this.#dispatcher.handle(query);
    if (result instanceof Promise) {
      query.detach();
      void result.then(finish);
    } else {
      finish(result);
    }
    return asked;
  }

  /** Restarts the process `downMs` later, with its snapshot. Queries in flight are lost; servers behave as before. */
  restarted(downMs: number): ReplayFixture {
    const pieces = this.cache.snapshot((id) => this.#identities.textOf(id));
    const file = Buffer.concat(Array.from(pieces, (piece) => Buffer.from(piece)));
    const startMs = this.clock.nowMs() + downMs;
    const next = new ReplayFixture(this.#corefile, { ...this.#options, startMs });
    next.upstream.behaveLike(this.upstream);
    next.cache.restore(file, (text) => next.#identities.find(text));
    return next;
  }

  /** Ends timers and connections, so that none remain. */
  async close(): Promise<void> {
    await this.clock.advance(2 * RETIRE_MS);
    for (const plugin of this.#serverConfig?.plugins ?? []) plugin.stop?.();
    await this.room.close();
    this.cache.close();
  }

  #label(endpoint: Endpoint): ServerLabel {
    const label = `dns://${formatEndpoint(endpoint)}`;
    const known = this.#labels.get(label) ?? { index: this.#labels.size, label };
    this.#labels.set(label, known);
    return known;
  }

  #query(fields: AskFields): Query {
    const { name, type, dnssecOk = false, checkingDisabled = false, edns = true } = fields;
    const wire = buildQuery({
      name: nameFromText(name),
      type: TYPE[type],
      class: CLASS.IN,
      id: this.#id++ & 0xffff,
      flags: FLAG.RD | (checkingDisabled ? FLAG.CD : 0),
      dnssecOk,
      udpSizeBytes: edns ? 1_232 : undefined,
      options: fields.options,
    });
    const query = new Query();
    if (readQueryHead(wire, wire.length, query.head) !== VERDICT.answer) {
      throw new Error(`not a query: ${name}`);
    }
    const [endpoint = { address: ADDRESS, port: 53 }] = this.#serverConfig?.endpoints ?? [];
    const server = this.#label(endpoint);
    const client = clientAt('10.244.0.7', 40_053);
    const { transport = 'udp' } = fields;
    query.receive(wire, wire.length, transport, server, this.clock.nowMs(), () => client);
    return query;
  }

  #read(query: Query, answer: Answer, askedMs: number): Got {
    const out = Buffer.alloc(responseCapacity(answer, query.responseOptions));
    const nowMs = this.clock.nowMs();
    const wire = out.subarray(0, respond(query, answer, nowMs, out));
    const { answers = [], additionals = [], authorities = [] } = decode(wire);
    const ttls = [...answers, ...authorities].map((record) => ('ttl' in record ? record.ttl : 0));
    const opt = additionals.find((record) => record.type === 'OPT');
    const options = (opt?.type === 'OPT' ? opt.options : []) as readonly EdnsOption[];
    const data = options.find(({ code }) => code === EDE_OPTION)?.data;
    return {
      rcode: flagsOf(wire) & RCODE_MASK,
      flags: flagsOf(wire),
      addresses: answers.flatMap((record) =>
        record.type === 'A' || record.type === 'AAAA' ? [record.data] : [],
      ),
      ttlSeconds: ttls[0],
      extended: data === undefined ? undefined : u16(data, 0),
      afterMs: nowMs - askedMs,
      wire: Buffer.from(wire),
    };
  }
}
