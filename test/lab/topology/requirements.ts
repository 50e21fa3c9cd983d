/** Programs the lab uses, and the Debian packages that have them. */
import { accessSync, constants } from 'node:fs';

const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  iproute2: ['ip', 'ss'],
  procps: ['sysctl'],
  'util-linux': ['setpriv'],
  nftables: ['nft'],
  iptables: ['iptables-restore', 'ip6tables-restore'],
  conntrack: ['conntrack'],
  unbound: ['unbound'],
  'bind9-dnsutils': ['dig'],
  'knot-dnsutils': ['kdig'],
  'libc-bin': ['getent'],
  'musl-tools': ['musl-gcc'],
};

/** Packages to install before the lab can run; none where everything is there. */
export function missingPackages(): string[] {
  return Object.entries(PACKAGES)
    .filter(([, programs]) => !programs.every(isThere))
    .map(([name]) => name);
}

function isThere(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((dir) => {
    try {
      accessSync(`${dir}/${program}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
