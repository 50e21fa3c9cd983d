/** The upstreams of a group in the order of the Corefile: addresses, and the current addresses of names. */
import type {
  UpstreamEndpoint,
  UpstreamGroup,
  UpstreamGroupOptions,
} from '../query/services/upstreams.ts';
import type { GroupMember } from './group-member.ts';
import { ResolvedName, type ResolvedNameContext } from './resolved-name.ts';

/** What the list needs of its group. */
export interface GroupUpstreamsParts {
  /** Resolves the names; undefined if there are none. */
  readonly resolver: UpstreamGroup | undefined;
  readonly member: (upstream: UpstreamEndpoint) => GroupMember;
  /** Releases replaced members once their last queries are answered or abandoned. */
  readonly replaced: (members: readonly GroupMember[]) => void;
}

/** Members of one argument in the Corefile. */
interface Slot {
  members: readonly GroupMember[];
}

/**
 * Members by argument of the Corefile: one for an address; for a name one for each address that it resolves to now, and
 * none until it has resolved.
 */
export class GroupUpstreams {
  readonly #names: readonly ResolvedName[];
  #slots: readonly Slot[] = [];
  #all: readonly GroupMember[] = [];

  constructor(
    { upstreams, names = [], isOwn }: UpstreamGroupOptions,
    { resolver, member, replaced }: GroupUpstreamsParts,
    context: ResolvedNameContext,
  ) {
    const slots: Slot[] = upstreams.map((upstream) => ({ members: [member(upstream)] }));
    const resolved: ResolvedName[] = [];
    // From the end, so that positions among the addresses stay valid.
    for (const { name, port, tls, before } of names.toReversed()) {
      if (resolver === undefined) break;
      const slot: Slot = { members: [] };
      slots.splice(before, 0, slot);
      const onChange = (addresses: readonly string[]): void => {
        const former = slot.members;
        slot.members = addresses.map((address) => member({ address, port, tls }));
        this.#refresh();
        replaced(former);
      };
      const isOwnAddress = (address: string): boolean => isOwn?.({ address, port }) ?? false;
      resolved.push(new ResolvedName({ name, resolver, isOwn: isOwnAddress, onChange }, context));
    }
    this.#names = resolved.reverse();
    this.#slots = slots;
    this.#refresh();
  }

  /** In the order of the Corefile; a new array after each change of a name's addresses. */
  get all(): readonly GroupMember[] {
    return this.#all;
  }

  /** Names without a known address, as text for logs; '' if there are none. */
  get unresolved(): string {
    const missing = this.#names.filter(({ isResolved }) => !isResolved);
    return missing.map(({ text }) => text).join(', ');
  }

  /** Ends the resolving of names; the members stay. */
  stop(): void {
    for (const name of this.#names) name.stop();
  }

  #refresh(): void {
    this.#all = this.#slots.flatMap(({ members }) => members);
  }
}
