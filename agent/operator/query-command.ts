/** `nodens query`: a question through the real chain, as a client would ask it. */
import { type Endpoint, familyOf, formatEndpoint } from '../base/address.ts';
import type { PodSources } from '../base/clients/pod-sources.ts';
import type { Clock } from '../base/clock.ts';
import { UsageError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { ProcessCache } from '../cache/cache.ts';
import { buildQuery } from '../dns/build.ts';
import { FLAG } from '../dns/header.ts';
import { CLASS } from '../dns/iana.ts';
import { nameFromText } from '../dns/name.ts';
import { readQueryHead, VERDICT } from '../dns/query-head.ts';
import type { Answer } from '../query/answer.ts';
import { clientAt, Query } from '../query/query.ts';
import { servedAs } from '../query/served.ts';
import type { ServerLabel } from '../query/services/block.ts';
import type { Dispatcher } from '../server/dispatch.ts';
import { respond, responseCapacity } from '../server/respond.ts';
import type { AttemptWatch } from '../upstream/exchange/attempt-watch.ts';
import type { Output } from './connection.ts';
import type { QueryRequest } from './protocol.ts';
import { Trace } from './trace.ts';

/** What the command needs of the process. */
export interface QueryCommandParts {
  readonly clock: Clock;
  readonly dispatcher: Pick<Dispatcher, 'route' | 'handle' | 'handleThrough'>;
  readonly endpoints: () => readonly Endpoint[];
  readonly label: (endpoint: Endpoint) => ServerLabel;
  readonly cache: Pick<ProcessCache, 'peek'>;
  readonly attempts: AttemptWatch;
  readonly pods: PodSources;
  /** Uniform in [0, 1): the ID, which no server sees. */
  readonly random: () => number;
}

/** Sends the steps, if they are asked for, and the answer. Throws UsageError for an address that is none. */
export async function queryCommand(
  parts: QueryCommandParts,
  request: QueryRequest,
  out: Output,
): Promise<void> {
  const { clock } = parts;
  const endpoint = endpointOf(parts, request.listener);
  const [client = request.client] = parts.pods.addressesOf(request.client);
  const query = clientQuery(parts, { ...request, client }, parts.label(endpoint));
  const startMs = clock.nowMs();
  const trace = request.isTraced ? new Trace(clock, parts.cache) : undefined;
  const { answer, isLate } = await asked(parts, query, trace);
  const durationMs = clock.nowMs() - startMs;
  for (const step of trace?.steps ?? []) await out.write(step);
  await out.write({
    line: 'answer',
    wire: responseTo(query, answer, clock.nowMs()).toString('base64'),
    listener: formatEndpoint(endpoint),
    durationMs,
    from: servedAs(query, answer, isLate),
    plugin: answer.plugin,
  });
}

/** The listener that the operator names, else the first. Throws UsageError for one that the agent does not have. */
export function endpointOf(
  { endpoints }: Pick<QueryCommandParts, 'endpoints'>,
  wanted: string | undefined,
): Endpoint {
  const all = endpoints();
  const [first] = all;
  if (first === undefined) throw new UsageError('the agent listens nowhere yet');
  if (wanted === undefined) return first;
  const found = all.find((endpoint) => formatEndpoint(endpoint) === wanted);
  if (found !== undefined) return found;
  const names = all.map(formatEndpoint).join(', ');
  throw new UsageError(`the agent does not listen on ${wanted}, but on ${names}`);
}

/** A query as the listener would read it: routing, acl and views see this client. Throws UsageError and RangeError. */
export function clientQuery(
  parts: Pick<QueryCommandParts, 'clock' | 'random'>,
  request: Omit<QueryRequest, 'command' | 'isTraced' | 'listener'>,
  server: ServerLabel,
): Query {
  const { clock, random } = parts;
  const { client, type, dnssecOk, checkingDisabled, transport } = request;
  if (familyOf(client) === undefined) throw new UsageError(`"${client}" is not an IP address`);
  const wire = buildQuery({
    ...{ type, dnssecOk, class: CLASS.IN, name: nameFromText(String(request.name)) },
    id: Math.floor(random() * 0x10000),
    flags: FLAG.RD | FLAG.AD | (checkingDisabled ? FLAG.CD : 0),
    udpSizeBytes: LIMITS.ednsUdpSizeBytes.default,
  });
  const query = new Query();
  if (readQueryHead(wire, wire.length, query.head) !== VERDICT.answer)
    throw new UsageError(`no client could ask for ${request.name}, type ${type}`);
  const from = clientAt(client, 0);
  query.receive(wire, wire.length, transport, server, clock.nowMs(), () => from);
  return query;
}

async function asked(
  { dispatcher, attempts }: QueryCommandParts,
  query: Query,
  trace: Trace | undefined,
): Promise<{ readonly answer: Answer; readonly isLate: boolean }> {
  if (trace === undefined) {
    const result = dispatcher.handle(query);
    return { answer: await result, isLate: result instanceof Promise };
  }
  const route = dispatcher.route(query);
  trace.routed(route, query.server.label);
  if (route === undefined) return { answer: await dispatcher.handle(query), isLate: false };
  let isLate = false;
  const stop = attempts.add((attempt) => {
    if (!trace.isAbout(attempt)) return;
    isLate = true;
    trace.attempted(attempt);
  });
  try {
    const answer = await dispatcher.handleThrough(query, route, trace.chainOf(route));
    return { answer, isLate };
  } finally {
    stop();
  }
}

function responseTo(query: Query, answer: Answer, nowMs: number): Buffer {
  const out = Buffer.alloc(responseCapacity(answer, query.responseOptions));
  return out.subarray(0, respond(query, answer, nowMs, out));
}
