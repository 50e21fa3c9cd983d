/** Starts the process that makes the kernel close a killed agent's sockets at once. */
import { errnoOf } from '../base/errors.ts';
import type { Logger } from '../query/services/log.ts';

/** Exports of `native/process/memory_holder.c`. */
export interface MemoryHolderAddon {
  /** Starts the memory holder unless it runs, and returns its process id. Throws the system's error. */
  holdMemory(): number;
}

/** A failure is only logged: without the memory holder a killed agent's sockets close some milliseconds later. */
export function startMemoryHolder(addon: MemoryHolderAddon, log: Logger): void {
  try {
    addon.holdMemory();
  } catch (error) {
    log.info(
      { error: errnoOf(error) },
      'cannot start nodens-mem-hold: after a kill the kernel frees memory before it closes sockets',
    );
  }
}
