/** Which domains are the cluster's own: the usual one, and the one that a pod's search path names. */
import { parseResolvConf, searchedClusterDomains } from '../../base/resolv-conf.ts';
import type { Files } from '../../query/services/files.ts';

export const DEFAULT_CLUSTER_DOMAIN = 'cluster.local.';

const RESOLV_CONF = '/etc/resolv.conf';

/** Presentation format, lower case, with trailing dots. A file that is not there says nothing. */
export function clusterDomains(files: Files): string[] {
  const found = searchedClusterDomains(parseResolvConf(textOf(files)));
  return [...new Set([DEFAULT_CLUSTER_DOMAIN, ...found.map((domain) => `${domain}.`)])];
}

function textOf(files: Files): string {
  try {
    return files.read(RESOLV_CONF);
  } catch {
    return '';
  }
}
