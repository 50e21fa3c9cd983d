/** Removes from the node what nodens put there and what a crashed node-local-dns left, and nothing else. */
import { allBackends } from '../firewall/select.ts';
import type { Log } from '../log.ts';
import { removeLinks } from '../node/link.ts';
import { removeStateDir } from '../node/state-dir.ts';
import type { System } from '../node/system.ts';
import type { Plan } from '../plan/plan.ts';

/**
 * Finds addresses without a mark by the rules as well as by `plan`, so that cleanup works without flags. Removes rules
 * first: an address without rules is harmless, but rules without the address drop queries. Tries each part even if another
 * fails; throws the first failure at the end. `stateDir` is where the agent keeps its snapshot.
 */
export async function cleanUp(
  system: System,
  log: Log,
  plan: Pick<Plan, 'interfaceName' | 'addresses'>,
  stateDir?: string,
): Promise<void> {
  const failures: unknown[] = [];
  const step = async (what: string, work: () => Promise<readonly string[]>): Promise<void> => {
    try {
      for (const removed of await work()) log.info('removed', { what, removed });
    } catch (error) {
      failures.push(error);
    }
  };
  const addresses = [...plan.addresses];
  for (const backend of await allBackends(system))
    await step(backend.name, async () => {
      addresses.push(...(await backend.localIps()));
      return backend.removeAll();
    });
  await step('addresses', () => removeLinks(system.run, { ...plan, addresses }));
  if (stateDir !== undefined) await step('snapshot', () => removeStateDir(stateDir));
  if (failures.length > 0) throw failures[0];
}
