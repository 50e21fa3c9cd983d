/** The companion that lets a killed agent's sockets close at once (`keeper.c`). */
import { errnoOf } from '../base/errors.ts';
import type { Logger } from '../query/services.ts';

/** What `keeper.c` exports. */
export interface KeeperAddon {
  /** Starts the companion unless there is one; its process id. Throws the system's error. */
  keepMemory(): number;
}

/** Without it a killed agent is gone some milliseconds later: nothing to fail for. */
export function startKeeper(addon: KeeperAddon, log: Logger): void {
  try {
    addon.keepMemory();
  } catch (error) {
    log.info({ error: errnoOf(error) }, 'no companion that keeps memory until sockets are closed');
  }
}
