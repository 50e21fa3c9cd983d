/** Zone files (RFC 1035 §5) of the name servers of the cluster and of the internet. */

export interface Zone {
  readonly origin: string;
  readonly text: string;
  /** Answered with AA and undiminished TTLs, as kube-dns does; else as a recursive resolver that caches does. */
  readonly authoritative: boolean;
}

/** What a test may change between two starts of kube-dns. */
export interface ClusterFacts {
  /** ClusterIP of the service `web.default`. */
  readonly web: string;
}

export const FACTS: ClusterFacts = { web: '10.96.7.7' };

/** TTL of the cluster's records in seconds: CoreDNS's default for the kubernetes zone. */
export const CLUSTER_TTL_SECONDS = 5;

const CLUSTER_TTLS = { ttl: CLUSTER_TTL_SECONDS, negative: CLUSTER_TTL_SECONDS };
const EXTERNAL_TTLS = { ttl: 20, negative: 10 };
const ROOT_TTLS = { ttl: 86_400, negative: 10 };

interface ZoneTtls {
  readonly ttl: number;
  readonly negative: number;
}

function zone(origin: string, seconds: ZoneTtls, authoritative: boolean, records: string): Zone {
  const lines = records
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  const head = [
    `$ORIGIN ${origin}`,
    `$TTL ${seconds.ttl}`,
    `@ SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 ${seconds.negative}`,
    '@ NS ns.dns.cluster.local.',
  ];
  return { origin, authoritative, text: `${[...head, ...lines].join('\n')}\n` };
}

/**
 * kube-dns: ClusterIP services (`web` with AAAA, `api` without), a headless one with several addresses and SRV,
 * an ExternalName (`shop`), a service of another namespace (`ledger.bank`), PTR, any name under `any.default.svc`, and
 * `blink`, whose records have a TTL of one second.
 */
export function clusterZones(facts: ClusterFacts): Zone[] {
  const local = zone(
    'cluster.local.',
    CLUSTER_TTLS,
    true,
    `ns.dns A 10.96.0.10
     kubernetes.default.svc A 10.96.0.1
     web.default.svc A ${facts.web}
     web.default.svc AAAA fd00:96::77
     _http._tcp.web.default.svc SRV 0 100 80 web.default.svc
     api.default.svc A 10.96.7.8
     db.default.svc A 10.244.1.31
     db.default.svc A 10.244.1.32
     db.default.svc A 10.244.1.33
     db-0.db.default.svc A 10.244.1.31
     db-1.db.default.svc A 10.244.1.32
     db-2.db.default.svc A 10.244.1.33
     _pg._tcp.db.default.svc SRV 0 33 5432 db-0.db.default.svc
     _pg._tcp.db.default.svc SRV 0 33 5432 db-1.db.default.svc
     _pg._tcp.db.default.svc SRV 0 33 5432 db-2.db.default.svc
     shop.default.svc CNAME web.default.svc
     ledger.bank.svc A 10.96.8.8
     *.any.default.svc A 10.96.9.9
     blink.default.svc 1 A 10.96.7.10
     *.blink.default.svc 1 A 10.96.7.10`,
  );
  const reverse = zone(
    '10.in-addr.arpa.',
    CLUSTER_TTLS,
    true,
    '7.7.96 PTR web.default.svc.cluster.local.',
  );
  const reverse6 = zone(
    'd.f.ip6.arpa.',
    CLUSTER_TTLS,
    true,
    `7.7.${'0.'.repeat(22)}6.9.0.0.0.0 PTR web.default.svc.cluster.local.`,
  );
  return [local, reverse, reverse6];
}

const LONG_TXT = Array.from({ length: 12 }, () => `"${'x'.repeat(200)}"`).join(' ');

/** The internet: two zones with a CNAME chain across them, a TXT answer of 2.4 KB, and a root that denies the rest. */
export function externalZones(): Zone[] {
  return [
    zone('.', ROOT_TTLS, false, 'com. NS ns.dns.cluster.local.\norg. NS ns.dns.cluster.local.'),
    zone(
      'example.com.',
      EXTERNAL_TTLS,
      false,
      `@ A 192.0.2.80
       www CNAME edge
       edge CNAME host.example.org.
       *.any A 192.0.2.81
       big TXT ${LONG_TXT}`,
    ),
    zone(
      'example.org.',
      EXTERNAL_TTLS,
      false,
      '@ A 192.0.2.90\nhost A 192.0.2.91\nhost AAAA fd00:80::91',
    ),
  ];
}
