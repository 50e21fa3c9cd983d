/** A line of the query log as JSON, beside the agent's own lines: one parser reads both. */
import type { Clock } from '../../base/clock.ts';
import { className, rcodeName, typeName } from '../../dns/iana.ts';
import type { Query } from '../../query/query.ts';
import { flagNames, type Outcome } from './fields.ts';
import type { LineFormat } from './format.ts';

/** Field `event` and text of each line. */
const QUERY = 'query';

/** Names are those of `nodens observe -json` where it has the same. What is unknown is absent. */
export function jsonFormat(clock: Clock): LineFormat {
  return (query, outcome) =>
    JSON.stringify({
      level: 'info',
      time: new Date(clock.wallMs()).toISOString(),
      event: QUERY,
      ...question(query),
      ...response(query, outcome),
      metadata: query.metadata === undefined ? undefined : Object.fromEntries(query.metadata),
      msg: QUERY,
    });
}

function question(query: Query) {
  const { client, transport, head, length } = query;
  return {
    client: client.address,
    port: client.port,
    transport,
    id: query.id,
    name: query.nameText,
    type: typeName(query.type),
    class: className(query.class),
    dnssecOk: query.dnssecOk,
    udpSizeBytes: head.hasOpt && transport === 'udp' ? head.udpSizeBytes : undefined,
    queryBytes: length,
  };
}

function response(query: Query, outcome: Outcome) {
  const { rcode, flags, bytes, durationMs, from, plugin, sampledOf, isSlow } = outcome;
  return {
    rcode: rcode === undefined ? undefined : rcodeName(rcode),
    flags: rcode === undefined ? undefined : flagNames(query, flags),
    responseBytes: bytes,
    from,
    plugin: plugin === '' ? undefined : plugin,
    durationMs: Math.round(durationMs * 1_000) / 1_000,
    sampledOf,
    slow: isSlow ? true : undefined,
  };
}
