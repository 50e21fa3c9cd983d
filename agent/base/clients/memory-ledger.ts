/**
 * Bytes that clients and files make the process hold, against budgets that derive from the memory limit. Where clients
 * hold too much, the client that holds the most gives way first, so that a client that asks little always has a place.
 * A cache hit over UDP holds nothing and never comes here.
 */
import { type Holding, Lane } from './held-queries.ts';

export type { Holding } from './held-queries.ts';

export interface LedgerOptions {
  /** What all clients together may make the process hold. */
  readonly clientBudgetBytes: number;
  /** What all files together may. */
  readonly fileBudgetBytes: number;
  /** How many times an ordinary client's share the client behind `key` may hold; 1 by default. */
  readonly weightOf?: (key: string) => number;
  /** Called when something of `share` had to give way, or was refused. */
  readonly onLimited?: (share: ClientShare, kind: Holding['kind']) => void;
}

/** Key of what no client asked for: refreshes, probes of our own. */
export const OWN_KEY = '';

/** Empty shares that are kept, so that a client that asks now and then does not cost an object each time. */
const MAX_SHARES_KEPT = 1_024;
/** Shares that are looked at to find the largest one; the largest one found so far is always among the candidates. */
const CANDIDATES = 32;

const NO_LANE = {};

/** What one client holds. */
export class ClientShare {
  /** `clientKey` of its address. */
  readonly key: string;
  readonly weight: number;
  bytes = 0;
  readonly #ledger: MemoryLedger;
  readonly #lanes = new Map<object, Lane>();
  readonly #connections = new Set<Holding>();

  constructor(key: string, weight: number, ledger: MemoryLedger) {
    this.key = key;
    this.weight = weight;
    this.#ledger = ledger;
  }

  /** `bytes` in proportion to what the client may hold. */
  get load(): number {
    return this.bytes / this.weight;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Whether one more query of `bytes` may wait in `lane`. Where there is no room, a query of the client that holds the
   * most is refused unless it waits for something else than most of that client's queries do: what it has waiting is
   * closer to an answer. Any other client may wait, and the one that holds the most gives way.
   */
  admits(lane: object, bytes: number): boolean {
    if (this.bytes === 0 || this.#ledger.hasRoomFor(bytes, this)) return true;
    if (this.#largestLane() !== this.#lanes.get(lane)) return true;
    this.#ledger.limited(this, 'query');
    return false;
  }

  /** Holds `holding`. It may have to give way before this returns. */
  add(holding: Holding): void {
    const lane = this.#laneOf(holding);
    holding.isHeld = true;
    if (lane === undefined) this.#connections.add(holding);
    else lane.add(holding);
    this.#count(lane, holding.heldBytes);
    this.#ledger.relieve(this);
  }

  /** `holding` costs `bytes` from now on. No effect on what has given way. */
  resize(holding: Holding, bytes: number): void {
    if (bytes === holding.heldBytes || holding.isHeld !== true) return;
    this.#count(this.#laneOf(holding), bytes - holding.heldBytes);
    holding.heldBytes = bytes;
    this.#ledger.relieve(this);
  }

  /** Holds `holding` no more. No effect on what has given way. */
  remove(holding: Holding): void {
    if (holding.isHeld !== true) return;
    const lane = this.#laneOf(holding);
    holding.isHeld = false;
    if (lane === undefined) this.#connections.delete(holding);
    else lane.delete(holding);
    this.#count(lane, -holding.heldBytes);
  }

  /** Gives up the largest connection, or the oldest query of the largest lane, of whichever kind it holds more bytes. */
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

  /** Undefined for what is no query. */
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
    // Lanes of configurations that are gone must not be kept.
    if (this.bytes === 0) this.#lanes.clear();
  }
}

/** Room for one file's content, held until `release`. */
export interface FileReservation {
  readonly bytes: number;
  release(): void;
}

export class MemoryLedger {
  readonly clientBudgetBytes: number;
  readonly fileBudgetBytes: number;
  readonly #options: LedgerOptions;
  readonly #shares = new Map<string, ClientShare>();
  /** Where the look for the largest share goes on. */
  #rotation: Iterator<ClientShare> = this.#shares.values();
  #largestSeen: ClientShare | undefined;
  #isRelieving = false;
  /** Held for clients. Written by `ClientShare` only. */
  usedBytes = 0;
  /** Held for files. */
  fileBytes = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.clientBudgetBytes = options.clientBudgetBytes;
    this.fileBudgetBytes = options.fileBudgetBytes;
  }

  /** How many times an ordinary client's share the client behind `key` may hold. */
  weightOf(key: string): number {
    return this.#options.weightOf?.(key) ?? 1;
  }

  /** The share of the client behind `key` (`clientKey`). Use it before the next share is asked for. */
  share(key: string): ClientShare {
    const known = this.#shares.get(key);
    if (known !== undefined) return known;
    if (this.#shares.size >= MAX_SHARES_KEPT) this.#dropEmpty();
    const made = new ClientShare(key, this.weightOf(key), this);
    this.#shares.set(key, made);
    return made;
  }

  /** Clients that hold something, or did a moment ago. */
  get shares(): Iterable<ClientShare> {
    return this.#shares.values();
  }

  /**
   * Whether `share` should not be made any larger: memory is getting short, and this client holds more than others.
   * Then its connections are not read.
   */
  isPressed(share: ClientShare): boolean {
    if (this.usedBytes * 4 < this.clientBudgetBytes * 3) return false;
    const largest = this.#largest();
    return largest !== undefined && share.load * 2 > largest.load;
  }

  /** Room for a file's content; undefined where there is none (`fileRoomBytes` tells how much there is). */
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

  /** Tells that something of `share` had to give way, or was refused. */
  limited(share: ClientShare, kind: Holding['kind']): void {
    this.#options.onLimited?.(share, kind);
  }

  /** Whether `bytes` more of `share` fit, or another client would have to give way to them. */
  hasRoomFor(bytes: number, share: ClientShare): boolean {
    if (this.usedBytes + bytes <= this.clientBudgetBytes) return true;
    const largest = this.#largest();
    if (largest === undefined || largest === share) return false;
    return share.load + bytes / share.weight <= largest.load;
  }

  /** Called by `ClientShare` when `grown` holds more: makes the largest holders give way until the rest fits. */
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
   * The share with the highest load among a few candidates: the largest of those that grew, which may have shrunk since,
   * and the next ones in turn.
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

  /** A few steps for each new share keep the number of shares near that of the clients that hold something. */
  #dropEmpty(): void {
    for (let steps = 0; steps < 2; steps++) {
      const share = this.#nextInRotation();
      if (share === undefined || share.bytes > 0) continue;
      this.#shares.delete(share.key);
      if (this.#largestSeen === share) this.#largestSeen = undefined;
    }
  }
}
