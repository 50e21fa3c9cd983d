/**
 * What a plugin may use. Interfaces only: `agent/daemon` implements them, tests fake them. Cache, upstreams and series
 * outlive a reload.
 */
import type { MemoryLedger } from '../../base/clients/memory-ledger.ts';
import type { PodSources } from '../../base/clients/pod-sources.ts';
import type { Clock } from '../../base/clock.ts';
import type { PacedWork } from '../../base/paced-work.ts';
import type { Answer } from '../answer.ts';
import type { Result } from '../handler.ts';
import type { InternalQuestion } from '../query.ts';
import type { AdminRoutes } from './admin.ts';
import type { BlockContext } from './block.ts';
import type { Cache } from './cache.ts';
import type { Exports } from './exports.ts';
import type { Files } from './files.ts';
import type { KubernetesApi } from './kubernetes.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { ProcessSettings } from './process.ts';
import type { BlockTaps, Upstreams } from './upstreams.ts';

/**
 * Passed to each `Setup`. `block`, `taps`, `admin` and `process` belong to the block or the configuration, the rest to
 * the process.
 */
export interface Services {
  readonly clock: Clock;
  readonly log: Logger;
  /** Writes one line to standard output, buffered: the query log. */
  readonly writeLine: (line: string) => void;
  readonly metrics: Metrics;
  readonly cache: Cache;
  readonly upstreams: Upstreams;
  readonly files: Files;
  /** Memory that clients and files make the process use. */
  readonly ledger: MemoryLedger;
  /** Runs long work in slices between DNS queries. */
  readonly work: PacedWork;
  readonly admin: AdminRoutes;
  readonly process: ProcessSettings;
  readonly block: BlockContext;
  readonly taps: BlockTaps;
  /**
   * Asks the whole server, including routing: for plugins that need another name's answer. Never rejects: a failure is
   * an answer as well (SERVFAIL, REFUSED).
   */
  readonly resolve: (question: InternalQuestion) => Promise<Answer>;
  /** As `resolve`, but at once where no upstream has to be asked. Never throws. */
  readonly resolveNow: (question: InternalQuestion) => Result;
  /** Uniform random number in [0, 1); not for IDs or ports. */
  readonly random: () => number;
  readonly exports: Exports;
  readonly kubernetes: KubernetesApi;
  /** Where plugins that know clients say so, for commands. */
  readonly pods: PodSources;
}
