/** Whole sites (cluster and nodens in network namespaces) for end-to-end tests. */
import { describe } from 'node:test';
import type { LocalAddresses } from '../cluster/manifests.ts';
import { sweepOrphans } from '../cluster/names.ts';
import { PROXIES, type ProxyKind } from '../cluster/proxy/proxy.ts';
import { buildSite, type Site } from '../cluster/site.ts';
import { canMakeNetns, sayLeftOut } from './netns.ts';

/** Declares `body`'s tests once for each kind of kube-proxy; without root, prints what is left out. */
export function describeSites(
  title: string,
  body: (proxy: ProxyKind) => void,
  proxies: readonly ProxyKind[] = PROXIES,
  timeoutMs = 400_000,
): void {
  if (!canMakeNetns()) {
    sayLeftOut(title);
    return;
  }
  sweepOrphans();
  for (const proxy of proxies) {
    describe(`${title}, kube-proxy by ${proxy}`, { timeout: timeoutMs }, () => body(proxy));
  }
}

/** Builds a site, passes it to `work`, and removes it. */
export async function withSite(
  proxy: ProxyKind,
  work: (site: Site) => Promise<void>,
  addresses?: LocalAddresses,
): Promise<void> {
  const site = await buildSite(proxy, addresses);
  try {
    await work(site);
  } finally {
    site.cluster.down();
  }
}
