/** What would become of one question now: looks into the cache and the configuration, and sends nothing. */
import type { Endpoint } from '../../base/address.ts';
import type { Clock } from '../../base/clock.ts';
import type { Place } from '../../base/errors.ts';
import type { ProcessCache, StoredForQuestion } from '../../cache/cache.ts';
import { keyTexts, type StoredEntry, stateOf } from '../../cache/stored-entry.ts';
import { RCODE, typeName } from '../../dns/iana.ts';
import type { Query } from '../../query/query.ts';
import type { ServerLabel } from '../../query/services/block.ts';
import type { Dispatcher } from '../../server/dispatch.ts';
import type { ExplainedQuestion } from './protocol.ts';

/** What is looked at. */
export interface QuestionParts {
  readonly clock: Clock;
  readonly dispatcher: Pick<Dispatcher, 'route'>;
  readonly endpoints: () => readonly Endpoint[];
  readonly label: (endpoint: Endpoint) => ServerLabel;
  readonly cache: Pick<ProcessCache, 'peek'>;
  readonly random: () => number;
  /** What the block at `place` asks about a name in presentation format, with its state where that is known. */
  readonly upstreamsOf: (place: Place, name: string) => ExplainedQuestion['upstreams'];
}

/** Plugins that may answer themselves, or refuse. */
const ANSWERING = new Set([
  ...['local', 'any', 'chaos', 'acl', 'template', 'hosts', 'kubernetes', 'whoami'],
]);

/** `query` as a listener would read it. `hasAutopath`: its block has the plugin. */
export function explainedQuestion(
  { clock, dispatcher, cache, upstreamsOf }: QuestionParts,
  query: Query,
): { readonly question: ExplainedQuestion; readonly hasAutopath: boolean } {
  const name = query.nameText;
  const asked = { name, type: typeName(query.type) };
  const route = dispatcher.route(query);
  const block = route?.block;
  if (block === undefined)
    return {
      question: { ...asked, verdict: 'refused', plugins: [], upstreams: [] },
      hasAutopath: false,
    };
  const stored = cache.peek(query, block.id);
  const question = {
    ...asked,
    ...verdictOf(stored, clock.nowMs()),
    zone: route?.zone,
    place: `${block.place.file}:${block.place.line}`,
    view: block.view || undefined,
    plugins: block.plugins.filter((plugin) => ANSWERING.has(plugin)),
    upstreams: upstreamsOf(block.place, name),
  };
  return { question, hasAutopath: block.plugins.includes('autopath') };
}

type Verdict = Pick<ExplainedQuestion, 'verdict' | 'ttlSeconds' | 'cutAt'>;

/** In the order in which the cache looks. */
function verdictOf({ answer, cut, failure }: StoredForQuestion, nowMs: number): Verdict {
  const ttlSeconds = ({ entry }: StoredEntry): number =>
    Math.round((entry.expiresMs - nowMs) / 1_000);
  const isFresh = (stored: StoredEntry | undefined): stored is StoredEntry =>
    stored !== undefined && stateOf(stored, nowMs) === 'fresh';
  if (isFresh(answer)) {
    const { entry } = answer;
    const isDenied = entry.answer.rcode === RCODE.NXDOMAIN;
    const verdict = entry.kind === 'positive' ? 'hit' : isDenied ? 'denied' : 'nodata';
    return { verdict, ttlSeconds: ttlSeconds(answer) };
  }
  if (isFresh(cut))
    return { verdict: 'cut', ttlSeconds: ttlSeconds(cut), cutAt: keyTexts(cut.entry).name };
  if (isFresh(failure)) return { verdict: 'failure', ttlSeconds: ttlSeconds(failure) };
  if (answer === undefined || stateOf(answer, nowMs) === 'expired') return { verdict: 'miss' };
  return { verdict: 'stale', ttlSeconds: ttlSeconds(answer) };
}
