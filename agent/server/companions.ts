/** Companions that make a killed agent's death short: sockets close at once, and interception goes. */
import { errnoOf } from '../base/errors.ts';
import type { Logger } from '../query/services/log.ts';

/** What `native/process` exports. Both start a process unless it runs, return its id, and throw the system's error. */
export interface CompanionAddon {
  /** Keeps the agent's memory until its sockets are closed. */
  keepMemory(): number;
  /** Connects to the unix socket `path`, says `greeting`, and is the first to die where the agent is killed for memory. */
  startHerald(path: string, greeting: string): number;
  /** Ends the herald, if there is one, and with it what init has bound to it. */
  endHerald(): void;
}

export interface Heralds {
  /** Sees to it that a herald stands on `path`; never throws. */
  start(path: string, greeting: string): void;
  end(): void;
}

/** Without it a killed agent is gone some milliseconds later: nothing to fail for. */
export function startKeeper(addon: CompanionAddon, log: Logger): void {
  try {
    addon.keepMemory();
  } catch (error) {
    log.info(
      { error: errnoOf(error) },
      'cannot start nodens-keeper: after a kill the kernel frees memory before it closes sockets',
    );
  }
}

/** One is asked for again and again: a reason why there is none is said once, until there has been one. */
export function heraldsOf(addon: CompanionAddon, log: Logger): Heralds {
  const said = new Set<string>();
  const start = (path: string, greeting: string): void => {
    try {
      addon.startHerald(path, greeting);
      said.clear();
    } catch (raised) {
      const error = errnoOf(raised);
      if (!said.has(error))
        log.warn(
          { event: 'companion-missing', error },
          "cannot start nodens-herald: init has to notice the agent's death itself",
        );
      said.add(error);
    }
  };
  return { start, end: () => addon.endHerald() };
}
