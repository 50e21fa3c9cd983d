/** `ready [ADDR] { monitor until-ready|continuously }`: an HTTP endpoint that shows whether every plugin can answer. */
import {
  choiceArg,
  listenArg,
  maxArgs,
  oneArg,
  onlyUse,
  readOptions,
} from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { AdminResponse } from '../../query/services/admin.ts';
import type { Services } from '../../query/services/services.ts';

const DEFAULT_ADDRESS = ':8181';
const MONITOR_MODES = ['until-ready', 'continuously'] as const;
type MonitorMode = (typeof MONITOR_MODES)[number];

/** `/ready` responds with 200, or with 503 and the plugins that are not ready. Throws ConfigError for a second use. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  const [token] = maxArgs(line, 1);
  if (token !== undefined) listenArg(token);
  let mode: MonitorMode = 'until-ready';
  readOptions(line, {
    monitor: (option) => {
      mode = choiceArg(oneArg(option), MONITOR_MODES);
    },
  });
  const unready = monitor(mode, services.process.unready);
  services.admin.add(token?.text ?? DEFAULT_ADDRESS, '/ready', () => page(unready()));
  return { name: 'ready' };
}

/** Plugins that are not ready; until-ready does not check a plugin again that has been ready once. */
function monitor(mode: MonitorMode, unready: () => readonly string[]): () => readonly string[] {
  if (mode === 'continuously') return unready;
  let waiting: readonly string[] | undefined;
  return () => {
    const now = unready();
    waiting = waiting === undefined ? now : waiting.filter((name) => now.includes(name));
    return waiting;
  };
}

function page(unready: readonly string[]): AdminResponse {
  const contentType = 'text/plain; charset=utf-8';
  if (unready.length === 0) return { status: 200, contentType, body: 'OK' };
  const names = [...new Set(unready)].sort();
  return { status: 503, contentType, body: names.join(',') };
}
