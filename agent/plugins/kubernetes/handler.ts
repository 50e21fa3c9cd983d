import { DnsError } from '../../base/errors.ts';
import { CLASS, EDE, isTransfer, RCODE } from '../../dns/iana.ts';
import { isSubdomain } from '../../dns/name.ts';
import { rebuildAll } from '../../dns/rebuild.ts';
import { type Answer, remade, wireAt } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { after } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import { resolveFor } from '../../query/reenter.ts';
import type { Counter } from '../../query/services/metrics.ts';
import type { Services } from '../../query/services/services.ts';
import { type AnswerOptions, outcomeOf, type Snapshot, zoneOf } from './answers.ts';
import type { ClusterState } from './cluster.ts';
import type { Zone } from './zone-records.ts';

/** What the plugin answers, and what it passes on. */
export interface HandlerOptions extends AnswerOptions {
  /** Zones, lower-case wire form, in which a name without records is passed to the next plugin. */
  readonly fallthrough: readonly Uint8Array[];
}

/** The records at the moment of a query. */
export interface Source extends Snapshot {
  readonly state: ClusterState;
}

type Needs = Pick<Services, 'clock' | 'metrics' | 'resolve'>;

/** What became of a query within the zones; label `result` of `nodens_kubernetes_queries_total`. */
const RESULTS = ['answered', 'fallthrough', 'unsynced', 'old_passed', 'old_answered'] as const;

/** How long the plugins below may take where old records can answer instead, milliseconds. */
const OLD_BUDGET_MS = 1_000;
const OLD = 'the API server has not been heard for too long';

/**
 * Answers from records that are current. Without such records a query is passed on, so that the node is no worse off
 * than without the plugin: kube-dns may know more. If no plugin below answers, old records do, with an extended error.
 */
export function kubernetesHandler(
  options: HandlerOptions,
  source: () => Source | undefined,
  services: Needs,
): (query: Query, next: Handler) => Result {
  const counters = countersOf(services);
  return (query, next) => {
    const zone = query.class === CLASS.IN ? zoneOf(options.zones, query.name) : undefined;
    if (zone === undefined) return next(query);
    // As CoreDNS: its zones are transferred by the plugin transfer only.
    if (isTransfer(query.type)) throw new DnsError(RCODE.REFUSED, 'kubernetes makes no transfer');
    const known = source();
    if (known === undefined || known.state === 'unsynced') {
      counters.unsynced.value++;
      return after(next, query, (answer) => answer, unsynced);
    }
    const own = new OwnAnswers(query, zone, known, options, services);
    if (known.state === 'old') return fromOld(query, next, own, counters);
    const result = own.answer();
    counters[result === undefined ? 'fallthrough' : 'answered'].value++;
    return result ?? next(query);
  };
}

function countersOf({ metrics }: Needs): Record<(typeof RESULTS)[number], Counter> {
  const all = RESULTS.map((result) => [
    result,
    metrics.counter('nodens_kubernetes_queries_total', { result }),
  ]);
  return Object.fromEntries(all) as Record<(typeof RESULTS)[number], Counter>;
}

/** A block without a plugin below cannot answer yet: that is a failure, and no refusal (CoreDNS answers SERVFAIL). */
function unsynced(error: unknown): never {
  if (!(error instanceof DnsError) || error.rcode !== RCODE.REFUSED) throw error;
  const text = 'the records of the cluster are not synced yet';
  throw new DnsError(RCODE.SERVFAIL, text, { code: EDE.NOT_READY, text }, { cause: error });
}

function fromOld(
  query: Query,
  next: Handler,
  own: OwnAnswers,
  counters: Record<(typeof RESULTS)[number], Counter>,
): Result {
  query.budgetMs = Math.min(query.budgetMs, OLD_BUDGET_MS);
  const passed = (answer: Answer): Answer => {
    counters.old_passed.value++;
    return answer;
  };
  const answered = (otherwise: () => Result): Result => {
    const result = own.answer();
    if (result === undefined) return otherwise();
    counters.old_answered.value++;
    return result instanceof Promise ? result.then(marked) : marked(result);
  };
  return after(
    next,
    query,
    (answer) => (isDefinite(answer) ? passed(answer) : answered(() => answer)),
    (error) => {
      if (!(error instanceof DnsError) || error.isLocal) throw error;
      return answered(() => {
        throw error;
      });
    },
  );
}

/** An answer, or a denial: everything else says nothing about the name. */
function isDefinite({ rcode }: Answer): boolean {
  return rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN;
}

function marked(answer: Answer): Answer {
  const isDenial = answer.rcode === RCODE.NXDOMAIN;
  const code = isDenial ? EDE.STALE_NXDOMAIN_ANSWER : EDE.STALE_ANSWER;
  return answer.with({ extended: { code, text: OLD } });
}

/** What the records answer to one query. */
class OwnAnswers {
  readonly #query: Query;
  readonly #zone: Zone;
  readonly #source: Source;
  readonly #options: HandlerOptions;
  readonly #services: Needs;

  constructor(query: Query, zone: Zone, source: Source, options: HandlerOptions, services: Needs) {
    this.#query = query;
    this.#zone = zone;
    this.#source = source;
    this.#options = options;
    this.#services = services;
  }

  /** Undefined for a name that falls through. */
  answer(): Result | undefined {
    const { name, type } = this.#query;
    const { fallthrough } = this.#options;
    const outcome = outcomeOf({ name, type, zone: this.#zone }, this.#source, this.#options);
    if (outcome.kind === 'alias') return this.#chase(outcome.chain, outcome.target);
    const isPassed =
      outcome.kind === 'denied' && fallthrough.some((zone) => isSubdomain(name, zone));
    return isPassed ? undefined : outcome.answer;
  }

  /**
   * The alias, and behind it what the server answers to its target. A target without records leaves the alias alone, as
   * in CoreDNS; one that fails is a failure, so that the cache neither stores it nor loses what it has.
   */
  #chase(chain: Answer, target: Uint8Array): Promise<Answer> {
    const { clock } = this.#services;
    return resolveFor(this.#query, target, this.#query.type, this.#services).then((found) => {
      if (!isDefinite(found)) {
        const text = 'the target of an ExternalName Service could not be resolved';
        throw new DnsError(RCODE.SERVFAIL, text, found.extended ?? { code: EDE.OTHER, text });
      }
      const nowMs = clock.nowMs();
      const wire = rebuildAll([chain.wire, wireAt(found, nowMs)], {});
      return wire === undefined ? chain : remade(chain, wire, nowMs);
    });
  }
}
