/** Reports which clients the agent had to limit: a counter by client for a few of them, and a log line. */
import { clientName } from '../../base/clients/client-key.ts';
import type { Limited } from '../../query/services/client-limits.ts';
import { DEDUPLICATE_BY, type Logger, type ProblemFields } from '../../query/services/log.ts';
import type { Counter, Metrics } from '../../query/services/metrics.ts';

/** Clients with their own series; all later ones share one, so that clients cannot create series at will. */
const NAMED_CLIENTS = 32;
const OTHERS = 'other';
/** Clients whose reports are kept, for each reason. */
const MAX_KNOWN = 1_024;

const MESSAGES: Readonly<Record<Limited, string>> = {
  datagrams:
    'the client sends queries over UDP faster than nodens answers: some of them are discarded',
  queries:
    'the client has the most queries waiting: its oldest ones get SERVFAIL or a stale answer',
  memory: 'the TCP connections of the client use the most memory: nodens closed the largest one',
  connections:
    'the client has the most TCP connections: nodens closed its idlest one for a new one',
  http: 'the client has the most connections to HTTP ports, or uses the most memory there: nodens closed one',
  http_slow:
    'the client did not complete its request or read its response in time: nodens closed the HTTP connection',
  http_nonsense:
    'the client sent something other than HTTP to an HTTP port: nodens closed the connection',
  nonsense:
    'the client sent something other than a DNS query over TCP: nodens closed the connection',
  unread: 'the client does not read its answers over TCP: nodens closed the connection',
};

const FEWER_CONNECTIONS = 'let the client keep and reuse a connection';

const REMEDIES: Readonly<Record<Limited, string>> = {
  datagrams: 'find the program there that asks so often; let it keep answers for their TTL',
  queries:
    'see whether the upstreams of the names it asks for answer; if its load is legitimate, raise the memory limit, ' +
    'or -node-share if the client is the node itself',
  memory:
    'see why the client reads its answers late; if its load is legitimate, raise the memory limit',
  connections: FEWER_CONNECTIONS,
  http: `${FEWER_CONNECTIONS}, or scrape less often`,
  http_slow: 'see why the client hangs; nodens_admin_connections_closed_total has the reason',
  http_nonsense: 'find the program there that connects to this port',
  nonsense: 'find the program there that connects to the DNS port',
  unread: 'see why the client does not read its answers',
};

/** What is counted and logged each time that one client is limited for one reason. */
interface Report {
  readonly counter: Counter;
  readonly fields: ProblemFields;
}

/** Counts and logs that the client `key` (`clientKey`) was limited. A flood calls it tens of thousands of times a second. */
export function clientLimits(metrics: Metrics, log: Logger): (what: Limited, key: string) => void {
  const named = new Set<string>();
  const reports = new Map<Limited, Map<string, Report>>();

  const reportOf = (what: Limited, key: string): Report => {
    const client = clientName(key);
    const isNamed = named.has(key) || named.size < NAMED_CLIENTS;
    if (isNamed) named.add(key);
    const label = isNamed ? client : OTHERS;
    const counter = metrics.counter('nodens_client_limited_total', { what, client: label });
    // The log line of one client must not suppress that of another.
    const same = `client-limited ${what} ${label}`;
    const event = { event: 'client-limited', what, client, remedy: REMEDIES[what] } as const;
    const report = { counter, fields: { ...event, [DEDUPLICATE_BY]: same } };
    const known = byClient(what);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(key, report);
    return report;
  };

  const byClient = (what: Limited): Map<string, Report> => {
    const known = reports.get(what);
    if (known !== undefined) return known;
    const made = new Map<string, Report>();
    reports.set(what, made);
    return made;
  };

  return (what, key) => {
    const { counter, fields } = byClient(what).get(key) ?? reportOf(what, key);
    counter.value++;
    log.warn(fields, MESSAGES[what]);
  };
}
