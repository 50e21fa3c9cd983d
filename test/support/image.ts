/** What the image has to contain. */

/** Programs that nodens, its manifests and the image's build run, with the package of each. */
export const IMAGE_PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  ss: 'iproute2',
  nft: 'nftables',
  conntrack: 'conntrack',
  'iptables-nft': 'iptables',
  'iptables-nft-save': 'iptables',
  'ip6tables-nft-save': 'iptables',
  'iptables-nft-restore': 'iptables',
  'ip6tables-nft-restore': 'iptables',
  'iptables-legacy': 'iptables',
  'iptables-legacy-save': 'iptables',
  'ip6tables-legacy-save': 'iptables',
  'iptables-legacy-restore': 'iptables',
  'ip6tables-legacy-restore': 'iptables',
  setpriv: 'util-linux',
  sleep: 'coreutils',
  setcap: 'libcap2-bin',
};

/** Bytes that the files of the image may have together. */
export const MAX_IMAGE_BYTES = 160e6;

/** Words by which each prints its version; `--version` for the others. */
export const VERSION_FLAGS: Readonly<Record<string, string>> = {
  ...{ ip: '-V', ss: '-V', setcap: '-h' },
};
