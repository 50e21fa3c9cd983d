/** What the path of a query through one block's cache is made of. */
import type { MemoryLedger } from '../base/clients/memory-ledger.ts';
import type { Clock } from '../base/clock.ts';
import type { ServerLabel } from '../query/services/block.ts';
import type { CacheOptions } from '../query/services/cache.ts';
import type { Logger } from '../query/services/log.ts';
import type { Counters } from './counters.ts';
import type { Ancestors } from './probe/ancestors.ts';
import type { ResponseWriter } from './response-writer.ts';
import type { InflightQueries } from './single-flight.ts';
import type { Store } from './store/store.ts';

/** `store` and `inflightQueries` are the process's; `blockId`, `configVersion` and `options` those of one block. */
export interface LookupParts {
  readonly blockId: number;
  readonly configVersion: number;
  readonly options: CacheOptions;
  readonly store: Store;
  readonly inflightQueries: InflightQueries;
  readonly responseWriter: ResponseWriter;
  /** Undefined without zones of `nxdomain_probe`. */
  readonly ancestors: Ancestors | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ledger: MemoryLedger;
  readonly log: Logger;
  readonly counters: (server: ServerLabel) => Counters;
}
