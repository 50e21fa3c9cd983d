/**
 * A query on its way through the chain: a lazy view of the receive buffer. It is reused for the next datagram as soon
 * as the chain has answered synchronously; the first promise detaches it (`detach`), after which it lives on its own.
 */
import type { Family } from '../base/address.ts';
import { FLAG, putU16 } from '../dns/header.ts';
import { CLASS } from '../dns/iana.ts';
import { MAX_NAME_BYTES, nameToText } from '../dns/name.ts';
import { QueryHead } from '../dns/query-head.ts';
import type { ServerLabel, TrafficRow } from './services.ts';

export type Transport = 'udp' | 'tcp';

/** Who asked. Made only when somebody looks, or when the query outlives its batch. */
export interface Client {
  readonly address: string;
  readonly port: number;
  readonly family: Family;
}

const NOBODY: Client = { address: '', port: 0, family: 4 };

export class Query {
  /** What the bounded pass found; for internal queries what `Query.internal` was given. */
  readonly head = new QueryHead();
  /** The message as received in the first `length` octets; the listener's buffer until detached. */
  wire: Buffer = Buffer.alloc(0);
  length = 0;
  transport: Transport = 'udp';
  /** The listener that received it. */
  server: ServerLabel = { index: 0, label: '' };
  /** Clock moment of arrival, milliseconds; one reading per batch. */
  arrivedMs = 0;
  /** Limit that plugins put on the response, octets; `respond` takes the smaller of this and the client's own. */
  maxUdpBytes = 65_535;
  /** Counters of (listener, zone, view), set by routing; undefined where the block has no `prometheus`. */
  row: TrafficRow | undefined;
  /** Whether no client waits: a refresh, a prefetch, or a question a plugin asks for itself. */
  isInternal = false;

  #client: Client | undefined;
  #clientSource: () => Client = () => NOBODY;
  #key = '';
  #keyBlock = -1;

  /** Points this query at a freshly received message, whose head has just been read into `head`. */
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
    this.maxUdpBytes = 65_535;
    this.row = undefined;
    this.#client = undefined;
    this.#clientSource = client;
    this.#keyBlock = -1;
  }

  /** A question of our own (refresh, plugin re-entry): RD set, nobody waiting on a socket. */
  static internal(question: InternalQuestion, arrivedMs: number): Query {
    const query = new Query();
    const { head } = query;
    const { name } = question;
    head.flags = FLAG.RD | FLAG.AD | (question.checkingDisabled ? FLAG.CD : 0);
    head.name.set(name);
    head.nameLength = name.length;
    for (let at = 0; (name[at] as number) !== 0; at += (name[at] as number) + 1) {
      head.labelOffsets[head.labelCount++] = at;
    }
    head.labelOffsets[head.labelCount] = name.length - 1;
    head.type = question.type;
    head.class = question.class ?? CLASS.IN;
    head.hasOpt = true;
    head.udpSizeBytes = 65_535;
    head.dnssecOk = question.dnssecOk;
    query.transport = question.transport ?? 'udp';
    query.server = question.server;
    query.arrivedMs = arrivedMs;
    query.isInternal = true;
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

  /** QNAME in lower-case wire form. A view: copy it (`slice()`) to keep it beyond the query. */
  get name(): Uint8Array {
    return this.head.name.subarray(0, this.head.nameLength);
  }

  /** QNAME in lower-case presentation format with trailing dot. For logs and text matching, not for the hit path. */
  get nameText(): string {
    return nameToText(this.name);
  }

  /**
   * Block, lower-case name, type, class, DO and CD as a string of one octet per character: what a cached answer may
   * depend on (design §5). Made once per query and block.
   */
  keyIn(blockId: number): string {
    if (this.#keyBlock !== blockId) {
      this.#key = questionKey(blockId, this.head);
      this.#keyBlock = blockId;
    }
    return this.#key;
  }

  get client(): Client {
    this.#client ??= this.#clientSource();
    return this.#client;
  }

  /** Makes this query independent of the listener's buffers. Called when the chain returns a promise. */
  detach(): void {
    const own = Buffer.allocUnsafe(this.length);
    this.wire.copy(own, 0, 0, this.length);
    this.wire = own;
    // The slot that told the client will hold another datagram soon.
    this.#client = this.client;
  }
}

export interface InternalQuestion {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class?: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly server: ServerLabel;
  readonly transport?: Transport;
}

const KEY_EXTRA_BYTES = 7;
const keyBytes = Buffer.alloc(MAX_NAME_BYTES + KEY_EXTRA_BYTES);

function questionKey(blockId: number, head: QueryHead): string {
  const { name, nameLength } = head;
  putU16(keyBytes, 0, blockId);
  putU16(keyBytes, 2, head.type);
  putU16(keyBytes, 4, head.class);
  keyBytes[6] = (head.dnssecOk ? 1 : 0) | ((head.flags & FLAG.CD) !== 0 ? 2 : 0);
  for (let i = 0; i < nameLength; i++) keyBytes[KEY_EXTRA_BYTES + i] = name[i] as number;
  return keyBytes.latin1Slice(0, KEY_EXTRA_BYTES + nameLength);
}
