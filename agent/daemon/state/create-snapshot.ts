/** The snapshot of an agent, if it keeps one. */
import type { BlockIdentities } from '../configuration/block-ids.ts';
import type { ProcessServices } from '../process-services.ts';
import { SnapshotFile } from './snapshot-file.ts';

/** Undefined without a path. Opens no file. */
export function snapshotFile(
  path: string | undefined,
  { cache, clock, metrics, log, budget, reportLack }: ProcessServices,
  identities: BlockIdentities,
): SnapshotFile | undefined {
  if (path === undefined) return undefined;
  // A snapshot ends with the entry that makes it as large as the cache may be.
  const maxBytes = 2 * budget.bytes;
  return new SnapshotFile({
    ...{ path, cache, identities, clock, metrics, log, maxBytes, reportLack },
  });
}
