/**
 * Counts the memory that clients and files make the process use, against budgets that derive from the memory limit. If
 * clients use too much, the client that uses the most gives way first, so that a client with few queries always has
 * room. A cache hit over UDP uses none and is never counted.
 */
import { type ClearBytes, Segments } from '../segments.ts';
import { type Holding, Lane } from './held-queries.ts';

/** What a share counts. */
export type { Holding } from './held-queries.ts';

/** What a ledger needs: the two budgets, the clients' weights, and a callback for metrics and the log. */
export interface LedgerOptions {
  /** Budget of all clients together. */
  readonly clientBudgetBytes: number;
  /** Budget of all files together. */
  readonly fileBudgetBytes: number;
  /** For memory of files that is not in use; by default its pages stay. */
  readonly clearBytes?: ClearBytes;
  /** Share of the client behind `key` as a multiple of an ordinary client's; 1 by default. */
  readonly weightOf?: (key: string) => number;
  /** Called when memory of `share` had to be freed, or was refused. */
  readonly onLimited?: (share: ClientShare, kind: Holding['kind']) => void;
}

/** Key of internal work: refreshes, the agent's own probes. */
export const OWN_KEY = '';

/** Empty shares that are kept, so that a client that asks from time to time does not cost a new object each time. */
const MAX_SHARES_KEPT = 1_024;
/** Shares that are checked to find the largest one; the largest found so far is always one of them. */
const CANDIDATES = 32;

const NO_LANE = {};

/** What one client uses. */
export class ClientShare {
  /** `clientKey` of its address. */
  readonly key: string;
  readonly weight: number;
  bytes = 0;
  readonly #ledger: MemoryLedger;
  #lanes = new Map<object, Lane>();
  readonly #connections = new Set<Holding>();

  constructor(key: string, weight: number, ledger: MemoryLedger) {
    this.key = key;
    this.weight = weight;
    this.#ledger = ledger;
  }

  /** `bytes` relative to the client's weight. */
  get load(): number {
    return this.bytes / this.weight;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Whether one more query of `bytes` may wait in `lane`. True if there is room, or if another client will still hold more:
   * that one gives way. The same counts between the lanes of one client.
   */
  admits(lane: object, bytes: number): boolean {
    if (this.bytes === 0 || this.#ledger.hasRoomFor(bytes, this)) return true;
    const inLane = this.#lanes.get(lane)?.bytes ?? 0;
    if (inLane === 0 || inLane + bytes < (this.#largestLane()?.bytes ?? 0)) return true;
    this.#ledger.limited(this, 'query');
    return false;
  }

  /** Adds `holding`. It may have to give way before this returns. */
  add(holding: Holding): void {
    const lane = this.#laneOf(holding);
    holding.isHeld = true;
    if (lane === undefined) this.#connections.add(holding);
    else lane.add(holding);
    this.#count(lane, holding.heldBytes);
    this.#ledger.relieve(this);
  }

  /** Changes the cost of `holding` to `bytes`. No effect if it has given way. */
  resize(holding: Holding, bytes: number): void {
    if (bytes === holding.heldBytes || holding.isHeld !== true) return;
    this.#count(this.#laneOf(holding), bytes - holding.heldBytes);
    holding.heldBytes = bytes;
    this.#ledger.relieve(this);
  }

  /** Removes `holding`. No effect if it has given way. */
  remove(holding: Holding): void {
    if (holding.isHeld !== true) return;
    const lane = this.#laneOf(holding);
    holding.isHeld = false;
    if (lane === undefined) this.#connections.delete(holding);
    else lane.delete(holding);
    this.#count(lane, -holding.heldBytes);
  }

  /** Frees the largest connection, or the oldest query of the largest lane, whichever kind uses more bytes. */
  giveWay(): Holding | undefined {
    const holding = this.#victim();
    if (holding === undefined) return undefined;
    this.remove(holding);
    holding.giveWay();
    return holding;
  }

  #victim(): Holding | undefined {
    const oldestQuery = this.#largestLane()?.oldest;
    let queryBytes = 0;
    for (const { bytes } of this.#lanes.values()) queryBytes += bytes;
    if (oldestQuery !== undefined && queryBytes * 2 >= this.bytes) return oldestQuery;
    let largest = oldestQuery;
    for (const connection of this.#connections) {
      if (largest === undefined || connection.heldBytes > largest.heldBytes) largest = connection;
    }
    return largest;
  }

  #largestLane(): Lane | undefined {
    let largest: Lane | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.bytes > (largest?.bytes ?? 0)) largest = lane;
    }
    return largest;
  }

  /** Undefined for anything but a query. */
  #laneOf({ kind, lane = NO_LANE }: Holding): Lane | undefined {
    if (kind !== 'query') return undefined;
    const known = this.#lanes.get(lane);
    if (known !== undefined) return known;
    const made = new Lane();
    this.#lanes.set(lane, made);
    return made;
  }

  #count(lane: Lane | undefined, bytes: number): void {
    this.bytes += bytes;
    this.#ledger.usedBytes += bytes;
    if (lane !== undefined) lane.bytes += bytes;
    // Lanes of old configurations must not be kept.
    if (this.bytes === 0) this.#lanes = new Map();
  }
}

/** Memory for one file's content, reserved until `release`. */
export interface FileReservation {
  readonly bytes: number;
  release(): void;
}

/** The shares of all clients and the reservations of all files. The process has one ledger. */
export class MemoryLedger {
  readonly clientBudgetBytes: number;
  readonly fileBudgetBytes: number;
  readonly #options: LedgerOptions;
  readonly #shares = new Map<string, ClientShare>();
  /** Position of the search for the largest share. */
  #rotation: Iterator<ClientShare> = this.#shares.values();
  #largestSeen: ClientShare | undefined;
  #isRelieving = false;
  /** Used for clients. Written only by `ClientShare`. */
  usedBytes = 0;
  /** Reserved for files. */
  fileBytes = 0;
  /** Memory for files, to be reserved first. */
  readonly segments: Segments;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.clientBudgetBytes = options.clientBudgetBytes;
    this.fileBudgetBytes = options.fileBudgetBytes;
    this.segments = new Segments(options.clearBytes ?? ((bytes) => void bytes.fill(0)));
  }

  /** Share of the client behind `key` as a multiple of an ordinary client's. */
  weightOf(key: string): number {
    return this.#options.weightOf?.(key) ?? 1;
  }

  /** The share of the client behind `key` (`clientKey`). Use it before asking for another share. */
  share(key: string): ClientShare {
    const known = this.#shares.get(key);
    if (known !== undefined) return known;
    if (this.#shares.size >= MAX_SHARES_KEPT) this.#dropEmpty();
    const made = new ClientShare(key, this.weightOf(key), this);
    this.#shares.set(key, made);
    return made;
  }

  /** Clients that use memory, or did a moment ago. */
  get shares(): Iterable<ClientShare> {
    return this.#shares.values();
  }

  /**
   * Whether `share` must not grow: memory is nearly used up, and this client uses more than others. Its connections are
   * then not read.
   */
  isPressed(share: ClientShare): boolean {
    if (this.usedBytes * 4 < this.clientBudgetBytes * 3) return false;
    const largest = this.#largest();
    return largest !== undefined && share.load * 2 > largest.load;
  }

  /** Memory for a file's content; undefined if there is not enough (see `fileRoomBytes`). */
  reserveFile(bytes: number): FileReservation | undefined {
    if (bytes > this.fileRoomBytes) return undefined;
    this.fileBytes += bytes;
    let isHeld = true;
    const release = (): void => {
      if (isHeld) this.fileBytes -= bytes;
      isHeld = false;
    };
    return { bytes, release };
  }

  /** Largest file that can be reserved now, bytes. */
  get fileRoomBytes(): number {
    return this.fileBudgetBytes - this.fileBytes;
  }

  /** Reports that memory of `share` had to be freed, or was refused. */
  limited(share: ClientShare, kind: Holding['kind']): void {
    this.#options.onLimited?.(share, kind);
  }

  /**
   * Whether `bytes` more of `share` fit, or another client would have to give way because it will still hold more. One that
   * would then hold as much does not: clients with equal shares would take each other's places in turn, and no query would
   * wait long enough for its answer.
   */
  hasRoomFor(bytes: number, share: ClientShare): boolean {
    if (this.usedBytes + bytes <= this.clientBudgetBytes) return true;
    const largest = this.#largest();
    if (largest === undefined || largest === share) return false;
    return share.load + bytes / share.weight < largest.load;
  }

  /** Called by `ClientShare` when `grown` uses more: the largest shares give way until the rest fits. */
  relieve(grown: ClientShare): void {
    if (this.#largestSeen === undefined || grown.load > this.#largestSeen.load)
      this.#largestSeen = grown;
    if (this.#isRelieving || this.usedBytes <= this.clientBudgetBytes) return;
    this.#isRelieving = true;
    while (this.usedBytes > this.clientBudgetBytes) {
      const share = this.#largest();
      const holding = share?.giveWay();
      if (share === undefined || holding === undefined) break;
      this.limited(share, holding.kind);
    }
    this.#isRelieving = false;
  }

  /**
   * The share with the highest load among a few candidates: the largest of those that grew, which may have shrunk
   * since, and the next ones in turn.
   */
  #largest(): ClientShare | undefined {
    let largest = this.#largestSeen;
    for (let left = Math.min(CANDIDATES, this.#shares.size); left > 0; left--) {
      const share = this.#nextInRotation();
      if (share !== undefined && share.load > (largest?.load ?? 0)) largest = share;
    }
    this.#largestSeen = largest;
    if (largest !== undefined && largest.bytes > 0) return largest;
    return this.#anyHolder();
  }

  #anyHolder(): ClientShare | undefined {
    for (const share of this.#shares.values()) if (share.bytes > 0) return share;
    return undefined;
  }

  #nextInRotation(): ClientShare | undefined {
    const next = this.#rotation.next();
    if (next.done !== true) return next.value;
    this.#rotation = this.#shares.values();
    return this.#rotation.next().value as ClientShare | undefined;
  }

  /** A few steps for each new share keep the number of shares close to that of the clients that use memory. */
  #dropEmpty(): void {
    for (let steps = 0; steps < 2; steps++) {
      const share = this.#nextInRotation();
      if (share === undefined || share.bytes > 0) continue;
      this.#shares.delete(share.key);
      if (this.#largestSeen === share) this.#largestSeen = undefined;
    }
  }
}
