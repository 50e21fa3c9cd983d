/** `forward FROM TO… { … }`: asks other resolvers. May stand several times in a block; the first that fits is used. */
import { badValue, minArgs, zonesOf } from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services, UpstreamGroup, UpstreamGroupOptions } from '../../query/services.ts';
import { type Forwarder, forwardHandler } from './handler.ts';
import { readForwardOptions } from './options.ts';
import { readTargets } from './targets.ts';

export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const forwards = directive.uses.map((line) => readForward(line, block, services));
  return {
    name: 'forward',
    handle: forwardHandler(
      forwards.map(({ forwarder }) => forwarder),
      services.clock,
    ),
    start: () => {
      for (const { forwarder } of forwards) forwarder.group();
    },
    stop: () => {
      for (const { release } of forwards) release();
    },
  };
}

interface Forward {
  readonly forwarder: Forwarder;
  readonly release: () => void;
}

function readForward(line: Line, block: Block, services: Services): Forward {
  const [from, ...to] = minArgs(line, 2) as readonly [Token, ...Token[]];
  const options = readForwardOptions(line, block, services.files);
  const targets = readTargets(to, options.tls, services);
  const { place } = options.tls;
  if (place !== undefined && !targets.some(({ tls }) => tls !== undefined))
    services.log.warn({ option: place.text }, `${place.text} has no effect: no target is tls://`);
  const lazy = lazyGroup(services, { ...options.group, name: 'forward', targets });
  const { except, nextRcodes, nextOnNoData } = options;
  return {
    forwarder: { from: fromZone(from, block), except, nextRcodes, nextOnNoData, group: lazy.get },
    release: lazy.release,
  };
}

/** A network that spans several zones stands for the first of them (peer behaviour). */
function fromZone(token: Token, block: Block): Uint8Array {
  const [zone] = zonesOf([token], block);
  if (zone === undefined) throw badValue(token, 'a zone');
  return nameFromText(zone);
}

/** Made on first use, so that a configuration that is refused later leaves nothing behind. */
function lazyGroup(
  services: Services,
  options: UpstreamGroupOptions,
): { get: () => UpstreamGroup; release: () => void } {
  let group: UpstreamGroup | undefined;
  const get = (): UpstreamGroup => {
    group ??= services.upstreams.group(options);
    return group;
  };
  return { get, release: () => group?.release() };
}
