/** `reload [INTERVAL] [JITTER]`: how often the process checks the Corefile for changes. */
import { durationArg, firstUse, maxArgs, noBody } from '../../config/corefile/args.ts';
import type { Block, Directive, Token } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';

const DEFAULT_INTERVAL_MS = 30_000;
const MIN_INTERVAL_MS = 2_000;
const DEFAULT_JITTER_MS = 15_000;
const MIN_JITTER_MS = 1_000;

/** Defaults and minimums are CoreDNS's. Jitter is at most half the interval. A second use is ignored with a warning. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const line = firstUse(directive, services.log);
  noBody(line);
  const [interval, jitter] = maxArgs(line, 2);
  const intervalMs =
    interval === undefined
      ? DEFAULT_INTERVAL_MS
      : durationArg(interval, { minMs: MIN_INTERVAL_MS });
  const jitterMs = jitter === undefined ? DEFAULT_JITTER_MS : jitterArg(jitter);
  services.process.reload(intervalMs, Math.min(jitterMs, intervalMs / 2));
  return { name: 'reload' };
}

/** 0 switches jitter off; otherwise CoreDNS's minimum applies. */
function jitterArg(token: Token): number {
  const ms = durationArg(token);
  return ms === 0 ? 0 : durationArg(token, { minMs: MIN_JITTER_MS });
}
