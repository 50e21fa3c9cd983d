/** Debian packages that tests and lab need, and how to get them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** A program, and its package. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  iptables: 'iptables',
  conntrack: 'conntrack',
  unbound: 'unbound',
  dnsdist: 'dnsdist',
  dig: 'bind9-dnsutils',
  kdig: 'knot-dnsutils',
  dnsperf: 'dnsperf',
  'musl-gcc': 'musl-tools',
  setpriv: 'util-linux',
  setcap: 'libcap2-bin',
  gcc: 'gcc',
  promtool: 'prometheus',
  jq: 'jq',
  valgrind: 'valgrind',
};

const PATHS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/bin', '/usr/local/sbin'];

export function hasProgram(name: string): boolean {
  return PATHS.some((dir) => existsSync(`${dir}/${name}`));
}

export const isRoot = process.getuid?.() === 0;

/** Packages whose program is missing. */
export function missingPackages(): string[] {
  const missing = Object.entries(PROGRAMS).filter(([program]) => !hasProgram(program));
  return [...new Set(missing.map(([, name]) => name))];
}

/** Installs what is missing; needs root and a Debian system. Throws when apt-get fails. */
export function installPackages(names: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // A test needs no service that a package would start.
  const args = ['install', '-y', '--no-install-recommends', ...names];
  execFileSync('apt-get', ['update', '-q'], { stdio: 'ignore', env });
  const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`apt-get install ${names.join(' ')} failed:\n${stderr}`);
}
