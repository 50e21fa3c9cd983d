/** Makes a namespace drop DNS queries silently. */
import type { Netns } from '../cluster/netns.ts';

const TABLE = 'deaf';

/** Counts and drops incoming packets for port 53 from now on. */
export async function deafen(netns: Netns): Promise<void> {
  const rules = `table inet ${TABLE} {
    chain input {
      type filter hook input priority -100; policy accept;
      meta l4proto { tcp, udp } th dport 53 counter drop
    }
  }`;
  await netns.must(['nft', '-f', '-'], { input: rules });
}

/** Packets dropped so far. */
export async function droppedIn(netns: Netns): Promise<number> {
  const listing = await netns.must(['nft', 'list', 'table', 'inet', TABLE]);
  return Number(/counter packets (\d+)/.exec(listing)?.[1] ?? 0);
}

export async function undeafen(netns: Netns): Promise<void> {
  await netns.must(['nft', 'delete', 'table', 'inet', TABLE]);
}
