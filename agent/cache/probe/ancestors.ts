/**
 * What answers have shown about the names between a zone and the names that clients ask for: which exist, and which
 * have nothing below them. Forgotten after minutes, and after a reload.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../base/clock.ts';
import { byteKey, isSubdomain, labelCount, MAX_NAME_BYTES } from '../../dns/name.ts';
import type { Query } from '../../query/query.ts';
import { KEY_HEAD } from '../nxdomain-cut.ts';

/**
 * `exists`: it was answered, or a name below it was. `empty`: it was denied, and so were a random name and a client's
 * name below it. `skipped`: the server answers below it although it denies it, or its denial cannot be stored.
 */
export type AncestorState = 'exists' | 'empty' | 'skipped';

interface Known {
  readonly state: AncestorState;
  readonly untilMs: number;
}

interface Zone {
  readonly name: Uint8Array;
  readonly labels: number;
  readonly proof: string;
}

/** A wrong `exists` or `skipped` costs only queries. For `empty`, names below are checked all the time. */
const REMEMBERED_MS = 600_000;
/** About 400 bytes each. More namespaces and top-level domains than a node uses within a few seconds. */
const MAX_KNOWN = 2_048;
/**
 * Labels of an ancestor below its zone: `com.NAMESPACE.svc` is the longest that a search path needs. Deeper names are
 * those of Services, whose servers deny names that have others below them: CoreDNS denies `_tcp.WEB.NAMESPACE.svc`.
 */
const MAX_DEPTH = 3;
/** A random label with its length goes before an ancestor. */
export const RANDOM_LABEL_BYTES = 16;
const MAX_ANCESTOR_BYTES = MAX_NAME_BYTES - RANDOM_LABEL_BYTES - 1;
const UNDERSCORE = '_';
/**
 * A name that has others below it in each cluster, but no records. A server that denies it knows only
 * names with records, as SkyDNS in the older kube-dns, and would deny each namespace that has Services.
 */
const PROOF_LABELS = '\x07default\x03svc';
/** CoreDNS denies `dns.ZONE`, but answers `ns.dns.ZONE`, the server in its SOA. */
const SERVER_LABEL = '\x03dns';

/** Names are strings of the wire form, lower case, one character per byte. `zones` are lower-case wire form. */
export class Ancestors {
  readonly #zones: readonly Zone[];
  readonly #clock: Clock;
  readonly #known = new LRUCache<string, Known>({ max: MAX_KNOWN });

  constructor(zones: readonly Uint8Array[], clock: Clock) {
    this.#zones = zones.map((name) => ({
      name,
      labels: labelCount(name),
      proof: `${PROOF_LABELS}${byteKey(name)}`,
    }));
    this.#clock = clock;
  }

  /**
   * The name that the server of the query's zone must not deny, for a denial of another to count; undefined outside of
   * the zones.
   */
  proofFor({ name }: Query): string | undefined {
    return this.#zones.find((zone) => isSubdomain(name, zone.name))?.proof;
  }

  /** The names above that of `query` that may be probed, shortest first. `key` is the query's in its block. */
  above(query: Query, key: string): string[] {
    const names = this.#chain(query, key);
    if (names.at(-1)?.length === query.head.nameLength) names.pop();
    return names;
  }

  /** Undefined: not known, or no longer. */
  stateOf(name: string): AncestorState | undefined {
    const known = this.#known.get(name);
    return known !== undefined && this.#clock.nowMs() < known.untilMs ? known.state : undefined;
  }

  /** Remembers `state` of `name`, in place of any other. */
  learn(name: string, state: AncestorState): void {
    this.#known.set(name, { state, untilMs: this.#clock.nowMs() + REMEMBERED_MS });
  }

  /** The name of `query` exists, and so do the names above it. One that was taken for empty is left alone for a while. */
  answered(query: Query, key: string): void {
    for (const name of this.#chain(query, key)) {
      const state = this.stateOf(name);
      if (name.length === query.head.nameLength || state === undefined || state === 'exists')
        this.learn(name, 'exists');
      else if (state === 'empty') this.learn(name, 'skipped');
    }
  }

  /** The name of `query` does not exist any more, if it did. */
  denied(query: Query, key: string): void {
    const name = this.#chain(query, key).at(-1);
    if (name?.length !== query.head.nameLength) return;
    if (this.stateOf(name) === 'exists') this.#known.delete(name);
  }

  /** Names below the zone of `query`, shortest first, down to the query's own. */
  #chain(query: Query, key: string): string[] {
    const names: string[] = [];
    // With options for the upstream, the answer may not be that of other clients, and the key goes on after the name.
    if (query.upstreamOptions !== undefined) return names;
    const zone = this.#zones.find(({ name }) => isSubdomain(query.name, name));
    if (zone === undefined) return names;
    const { head } = query;
    const last = head.labelCount - zone.labels - 1;
    for (let i = last; i >= 0 && names.length < MAX_DEPTH; i--) {
      const name = key.slice(KEY_HEAD + head.labelOffset(i));
      // Underscored names (RFC 8552) belong to the name above them, which may be asked for alone.
      if (name.length > MAX_ANCESTOR_BYTES || name[1] === UNDERSCORE) break;
      if (i === last && name.startsWith(SERVER_LABEL)) break;
      names.push(name);
    }
    return names;
  }
}
