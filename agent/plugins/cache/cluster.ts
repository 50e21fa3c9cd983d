/** Which domains are the cluster's own: the usual one, and the one that a pod's search path names. */
import type { Files } from '../../query/services/files.ts';

export const DEFAULT_CLUSTER_DOMAIN = 'cluster.local.';

const RESOLV_CONF = '/etc/resolv.conf';

/** Presentation format, lower case, with trailing dots. A file that is not there says nothing. */
export function clusterDomains(files: Files): string[] {
  const domains = new Set([DEFAULT_CLUSTER_DOMAIN]);
  for (const line of textOf(files).split('\n')) {
    const [keyword, ...words] = line.split(/\s+/);
    if (keyword !== 'search') continue;
    for (const word of words) {
      const [, domain] = /^svc\.([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)\.?$/i.exec(word) ?? [];
      if (domain !== undefined) domains.add(`${domain.toLowerCase()}.`);
    }
  }
  return [...domains];
}

function textOf(files: Files): string {
  try {
    return files.read(RESOLV_CONF);
  } catch {
    return '';
  }
}
