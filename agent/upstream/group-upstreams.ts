/** The upstreams of a group in the order of the Corefile: addresses, and what its names resolve to at the moment. */
import type {
  UpstreamEndpoint,
  UpstreamGroup,
  UpstreamGroupOptions,
} from '../query/services/upstreams.ts';
import type { GroupMember } from './group-member.ts';
import { ResolvedName, type ResolvedNameContext } from './resolved-name.ts';

export interface GroupUpstreamsParts {
  /** Asked for the names; undefined where there are none. */
  readonly resolver: UpstreamGroup | undefined;
  readonly member: (upstream: UpstreamEndpoint) => GroupMember;
  /** Lets go of members that were replaced, when what they were asked last has been answered or given up. */
  readonly replaced: (members: readonly GroupMember[]) => void;
}

/** Members of one word of the Corefile. */
interface Slot {
  members: readonly GroupMember[];
}

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
    // From the end, so that places in the order of the addresses stay what they are.
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

  get all(): readonly GroupMember[] {
    return this.#all;
  }

  /** Names that no address is known of yet, for people; '' where there are none. */
  get unresolved(): string {
    const missing = this.#names.filter(({ isResolved }) => !isResolved);
    return missing.map(({ text }) => text).join(', ');
  }

  stop(): void {
    for (const name of this.#names) name.stop();
  }

  #refresh(): void {
    this.#all = this.#slots.flatMap(({ members }) => members);
  }
}
