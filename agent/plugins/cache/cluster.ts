/** The cluster's own domains: the usual one, and the one in a pod's search path. */
import {
  DEFAULT_CLUSTER_DOMAIN,
  parseResolvConf,
  searchedClusterDomains,
} from '../../base/resolv-conf.ts';
import type { Files } from '../../query/services/files.ts';

const RESOLV_CONF = '/etc/resolv.conf';

/** Presentation format, lower case, with trailing dots. A missing file adds none. */
export function clusterDomains(files: Files): string[] {
  const found = searchedClusterDomains(parseResolvConf(textOf(files)));
  return [...new Set([DEFAULT_CLUSTER_DOMAIN, ...found].map((domain) => `${domain}.`))];
}

function textOf(files: Files): string {
  try {
    return files.read(RESOLV_CONF);
  } catch {
    return '';
  }
}
