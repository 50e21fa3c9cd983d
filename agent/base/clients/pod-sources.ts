/** What the agent knows of the pods behind its clients, for an operator: `autopath` adds what its watch has. */
import { addressBytes, familyOf, formatAddress } from '../address.ts';
import { UsageError } from '../errors.ts';

/** What a client appends to a short name (resolv.conf(5)). */
export interface SearchPath {
  /** Presentation format with trailing dot; without the root. */
  readonly domains: readonly string[];
  /** A name with at least this many dots is asked as it is at first. */
  readonly ndots: number;
}

/** A pod of this node. */
export interface KnownPod {
  /** `namespace/name`. */
  readonly name: string;
  /** In the form of `formatAddress`. */
  readonly addresses: readonly string[];
  readonly isHostNetwork: boolean;
  /** Undefined: it expands no name, or uses the host's. */
  readonly search: SearchPath | undefined;
}

/** One plugin that knows clients. Asked by commands only, never for a query. */
export interface PodSource {
  /** The pod of an address, as `formatAddress` writes it; undefined if that is not one pod's for sure. */
  readonly at: (address: string) => KnownPod | undefined;
  /** Pods with this `name` or `namespace/name`. */
  readonly named: (name: string) => readonly KnownPod[];
  /** The path of every client, where one list is configured for all. */
  readonly everyone?: SearchPath | undefined;
}

/** All sources of the configuration in force. One for the process. */
export class PodSources {
  readonly #sources = new Set<PodSource>();

  /** Asks `source` until the returned function is called. */
  add(source: PodSource): () => void {
    this.#sources.add(source);
    return () => {
      this.#sources.delete(source);
    };
  }

  at(address: string): KnownPod | undefined {
    for (const source of this.#sources) {
      const pod = source.at(address);
      if (pod !== undefined) return pod;
    }
    return undefined;
  }

  /** Each pod once, though several blocks may watch it. */
  named(name: string): readonly KnownPod[] {
    const all = [...this.#sources].flatMap((source) => source.named(name));
    return [...new Map(all.map((pod) => [pod.name, pod])).values()];
  }

  /** The only pod with this name; undefined if there is none. Throws UsageError if there are several. */
  one(name: string): KnownPod | undefined {
    const named = this.named(name);
    if (named.length <= 1) return named[0];
    const all = named.map((pod) => pod.name).join(', ');
    throw new UsageError(`several pods have this name: ${all}; give the namespace, too`);
  }

  /**
   * The addresses that a word of an operator stands for: an address as `formatAddress` writes it, or those of a pod. Throws
   * UsageError for another word.
   */
  addressesOf(word: string): readonly string[] {
    if (familyOf(word) !== undefined) return [formatAddress(addressBytes(word))];
    const addresses = this.one(word)?.addresses ?? [];
    if (addresses.length > 0) return addresses;
    throw new UsageError(
      `"${word}" is not an IP address, nor a pod of this node that autopath @node watches`,
    );
  }

  get everyone(): SearchPath | undefined {
    for (const { everyone } of this.#sources) if (everyone !== undefined) return everyone;
    return undefined;
  }
}
