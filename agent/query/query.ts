/**
 * A query on its way through the chain: a lazy view of the receive buffer. The listener reuses it for the next datagram
 * once the chain has answered synchronously. The first promise detaches it (`detach`): it then owns its memory.
 */
import { type Family, familyOf } from '../base/address.ts';
import { clientKey } from '../base/clients/client-key.ts';
import { OWN_KEY } from '../base/clients/memory-ledger.ts';
import { LIMITS } from '../base/limits.ts';
import { buildQuery } from '../dns/build.ts';
import { FLAG, putU16 } from '../dns/header.ts';
import { CLASS } from '../dns/iana.ts';
import { MAX_NAME_BYTES, nameToText } from '../dns/name.ts';
import { QueryHead, readQueryHead, setName } from '../dns/query-head.ts';
import type { ServerLabel } from './services/block.ts';

/** Between client and agent, or agent and upstream. DNS over TLS counts as `tcp`. */
export type Transport = 'udp' | 'tcp';

/** Sender of a query. Created only when it is read, or when the query outlives its batch. */
export interface Client {
  readonly address: string;
  readonly port: number;
  readonly family: Family;
  /** `clientKey` of `address`: the memory ledger counts what the client uses under this key. */
  readonly key: string;
  /** The agent's address that the client sent to, if the listener has more than one. */
  readonly asked?: string | undefined;
}

/** The client at a numeric address ('' for none). */
export function clientAt(address: string, port: number): Client {
  return { address, port, family: familyOf(address) ?? 4, key: clientKey(address) };
}

const NO_CLIENT: Client = { address: '', port: 0, family: 4, key: OWN_KEY };
const NO_BYTES = Buffer.alloc(0);
const NO_SERVER: ServerLabel = { index: 0, label: '' };

/** Counters of one (listener, zone, view); made at routing, kept over reloads. */
export interface RequestMetrics {
  /** Called once for every query, when its response has been sized. `plugin` made the answer; '' means the server. */
  record(query: Query, rcode: number, responseBytes: number, plugin: string): void;
  /** Called when responses are sent: `count` queries have taken `durationMs` each. */
  recordDuration(durationMs: number, count: number): void;
  /** The counters for one query with a trace that began at the Unix time `sinceMs`: its duration will name the trace. */
  traced(traceId: string, sinceMs: number): RequestMetrics;
}

/**
 * Name, client and keys are made at first use. A plugin that keeps data of a query after it has answered synchronously
 * must copy them.
 */
export class Query {
  /** Result of the bounded parse; for internal queries, what `Query.internal` was given. */
  readonly head = new QueryHead();
  /** The message as received, in the first `length` bytes; the listener's buffer until detached. */
  wire: Buffer = NO_BYTES;
  length = 0;
  transport: Transport = 'udp';
  /** The listener that received it. */
  server: ServerLabel = NO_SERVER;
  /** Clock moment of arrival, milliseconds; one reading per batch. */
  arrivedMs = 0;
  /**
   * Maximum bytes of a UDP response: the listener's limit, or one that a plugin sets. `respond` uses the smaller of
   * this and the client's own limit, and announces this one to clients.
   */
  maxUdpBytes: number = LIMITS.ednsUdpSizeBytes.default;
  /** Time from `arrivedMs` within which upstreams must answer, milliseconds; plugins may lower it. */
  budgetMs: number = LIMITS.queryDeadlineMs.default;
  /** EDNS options, as on the wire, for the response if the client sent an OPT. */
  responseOptions: Buffer | undefined;
  /** How many plugin questions separate this one from the client's; bounds re-entry. */
  depth = 0;
  /** Counters of (listener, zone, view), set by routing; undefined where the block has no `prometheus`. */
  requestMetrics: RequestMetrics | undefined;
  /** Whether no client waits: a refresh, a prefetch, or a question that a plugin asks for itself. */
  isInternal = false;
  /** Metadata from plugins by `plugin/label`; undefined, at no cost, unless the block has `metadata`. */
  metadata: Map<string, string> | undefined;

  #client: Client | undefined;
  #clientSource: () => Client = () => NO_CLIENT;
  #clientKey: string | undefined;
  #upstreamOptions: Buffer | undefined;
  /** Key of the client for which an internal question is asked. */
  #behalfOf: string = OWN_KEY;
  #key = '';
  #keyBlock = -1;
  #name: Uint8Array | undefined;

  /** Binds this query to a newly received message, whose head has just been read into `head`. */
  receive(
    wire: Buffer,
    length: number,
    transport: Transport,
    server: ServerLabel,
    arrivedMs: number,
    client: () => Client,
  ): void {
    this.wire = wire;
    this.length = length;
    this.transport = transport;
    this.server = server;
    this.arrivedMs = arrivedMs;
    // Resets what plugins may have set for the previous client's query.
    this.maxUdpBytes = LIMITS.ednsUdpSizeBytes.default;
    this.budgetMs = LIMITS.queryDeadlineMs.default;
    this.responseOptions = undefined;
    this.requestMetrics = undefined;
    this.metadata = undefined;
    this.#client = undefined;
    this.#clientSource = client;
    this.#clientKey = undefined;
    this.#keyBlock = -1;
    this.#name = undefined;
  }

  /**
   * A question of the agent's own (refresh, plugin re-entry): RD set, no client waits on a socket. Its memory counts
   * against the client `behalfOf`.
   */
  static internal(question: InternalQuestion, arrivedMs: number, behalfOf = OWN_KEY): Query {
    const query = new Query();
    query.#behalfOf = behalfOf;
    const { head } = query;
    const { name } = question;
    head.flags = FLAG.RD | FLAG.AD | (question.checkingDisabled ? FLAG.CD : 0);
    setName(head, name);
    head.type = question.type;
    head.class = question.class ?? CLASS.IN;
    head.hasOpt = true;
    head.udpSizeBytes = 65_535;
    head.dnssecOk = question.dnssecOk;
    query.transport = question.transport ?? 'udp';
    query.server = question.server;
    query.arrivedMs = arrivedMs;
    query.isInternal = true;
    query.depth = question.depth ?? 0;
    query.#upstreamOptions = question.upstreamOptions;
    query.#client = question.client;
    return query;
  }

  /**
   * The same client's query for something else, with its own message. Fields that `question` does not change are
   * copied. The client's own EDNS options are not. `question.name` is lower-case wire form.
   */
  derive(question: DerivedQuestion): Query {
    const query = new Query();
    const { head } = this;
    const { name = this.name, type = head.type, class: qclass = head.class } = question;
    const udpSizeBytes = head.hasOpt ? head.udpSizeBytes : undefined;
    const { id, flags, dnssecOk } = head;
    query.wire = buildQuery({ id, flags, name, type, class: qclass, dnssecOk, udpSizeBytes });
    query.length = query.wire.length;
    readQueryHead(query.wire, query.length, query.head);
    query.transport = this.transport;
    query.server = this.server;
    query.arrivedMs = this.arrivedMs;
    query.maxUdpBytes = this.maxUdpBytes;
    query.budgetMs = this.budgetMs;
    query.depth = this.depth;
    query.requestMetrics = this.requestMetrics;
    query.metadata = this.metadata;
    query.isInternal = this.isInternal;
    query.#client = this.client;
    query.#behalfOf = this.#behalfOf;
    query.#upstreamOptions = question.upstreamOptions ?? this.#upstreamOptions;
    return query;
  }

  get id(): number {
    return this.head.id;
  }
  get type(): number {
    return this.head.type;
  }
  get class(): number {
    return this.head.class;
  }
  get dnssecOk(): boolean {
    return this.head.dnssecOk;
  }
  get recursionDesired(): boolean {
    return (this.head.flags & FLAG.RD) !== 0;
  }
  get checkingDisabled(): boolean {
    return (this.head.flags & FLAG.CD) !== 0;
  }

  /** DO and CD as one number: an answer may depend on both. */
  get variant(): number {
    const { dnssecOk, flags } = this.head;
    return (dnssecOk ? 1 : 0) | ((flags & FLAG.CD) !== 0 ? 2 : 0);
  }

  /** QNAME in lower-case wire form. A view: copy it (`slice()`) to keep it beyond the query. */
  get name(): Uint8Array {
    this.#name ??= this.head.name.subarray(0, this.head.nameLength);
    return this.#name;
  }

  /** QNAME in lower-case presentation format with trailing dot. For logs and text matching, not for the hit path. */
  get nameText(): string {
    return nameToText(this.name);
  }

  /**
   * Block, lower-case name, type, class, DO, CD and the options sent upstream, as a string of one byte per character:
   * everything a cached answer may depend on. Built once per query and block.
   */
  keyIn(blockId: number): string {
    if (this.#keyBlock !== blockId) {
      const key = questionKey(blockId, this);
      // A wire name is self-terminating, so the bytes after it are never read as part of it.
      const options = this.#upstreamOptions;
      this.#key = options === undefined ? key : key + options.latin1Slice();
      this.#keyBlock = blockId;
    }
    return this.#key;
  }

  /** EDNS options, as on the wire, for the OPT of the agent's own upstream query; undefined: none. */
  get upstreamOptions(): Buffer | undefined {
    return this.#upstreamOptions;
  }

  /** Whether the answer is for a client whose address is known, even if the agent asks in its name. */
  get hasClient(): boolean {
    return !this.isInternal || this.#client !== undefined;
  }

  /** The sender, or the client in whose name a plugin asks; else a client with address '' and port 0. */
  get client(): Client {
    this.#client ??= this.#clientSource();
    return this.#client;
  }

  /** Key of the client whose share this query's memory counts against. */
  get clientKey(): string {
    if (this.isInternal) return this.#behalfOf;
    this.#clientKey ??= this.client.key;
    return this.#clientKey;
  }

  /** Makes this query independent of the listener's buffers. Called when the chain returns a promise. */
  detach(): void {
    const own = Buffer.allocUnsafe(this.length);
    this.wire.copy(own, 0, 0, this.length);
    this.wire = own;
    // The batch slot that holds the client's address will soon hold another datagram.
    this.#client = this.client;
  }
}

/** A question of the agent's own. Defaults: class IN, UDP, depth 0, and the agent's own share of memory. */
export interface InternalQuestion {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class?: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly server: ServerLabel;
  readonly transport?: Transport;
  readonly depth?: number;
  readonly upstreamOptions?: Buffer | undefined;
  /** The client for which the question is asked, if any. */
  readonly behalfOf?: string;
  /** The client in whose name it is asked: `acl`, `view` and `dns64` treat the question as its own. */
  readonly client?: Client;
}

/** What `Query.derive` changes. */
export type DerivedQuestion = Partial<
  Pick<InternalQuestion, 'name' | 'type' | 'class' | 'upstreamOptions'>
>;

const KEY_EXTRA_BYTES = 7;
const keyBytes = Buffer.alloc(MAX_NAME_BYTES + KEY_EXTRA_BYTES);

function questionKey(blockId: number, query: Query): string {
  const { head } = query;
  const { name, nameLength } = head;
  putU16(keyBytes, 0, blockId);
  putU16(keyBytes, 2, head.type);
  putU16(keyBytes, 4, head.class);
  keyBytes[6] = query.variant;
  for (let i = 0; i < nameLength; i++) keyBytes[KEY_EXTRA_BYTES + i] = name[i] as number;
  return keyBytes.latin1Slice(0, KEY_EXTRA_BYTES + nameLength);
}
