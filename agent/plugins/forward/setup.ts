/** `forward FROM TO… { … }`: asks other resolvers. A block may have several; the first that matches is used. */
import { ConfigError } from '../../base/errors.ts';
import { badValue, minArgs, zonesOf } from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import type { UpstreamGroup, UpstreamGroupOptions } from '../../query/services/upstreams.ts';
import { type Forwarder, forwardHandler } from './handler.ts';
import { type ForwardOptions, readForwardOptions } from './options.ts';
import { readResolvers } from './resolvers.ts';
import { type ForwardUpstreams, ownListeners, readUpstreams } from './upstreams.ts';

/** How long unresolved names keep the process from being ready: they concern some zones, not all. */
const RESOLVE_MS = 30_000;

/**
 * Creates the upstream groups at `start` at the latest. `ready` waits for the addresses of upstreams by name, 30 s at
 * most. Throws ConfigError for invalid targets and options.
 */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const forwards = directive.uses.map((line) => readForward(line, block, services));
  let startedMs = Number.NEGATIVE_INFINITY;
  return {
    name: 'forward',
    handle: forwardHandler(
      forwards.map(({ forwarder }) => forwarder),
      services.clock,
      services.taps,
    ),
    start: () => {
      startedMs = services.clock.nowMs();
      for (const { forwarder } of forwards) forwarder.group();
    },
    ready: () =>
      services.clock.nowMs() - startedMs > RESOLVE_MS ||
      forwards.every(({ forwarder }) => forwarder.group().isResolved?.() ?? true),
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
  const { upstreams, names } = readUpstreams(to, options.tls, services);
  const { place } = options.tls;
  if (place !== undefined && ![...upstreams, ...names].some(({ tls }) => tls !== undefined))
    services.log.warn(
      { event: 'corefile-warning', option: place.text },
      `${place.text} has no effect: no target is tls:// or https://`,
    );
  const lazy = lazyGroup(services, {
    ...options.group,
    ...{ name: 'forward', upstreams },
    ...byName(names, line, options, services),
  });
  const { except, nextRcodes, nextOnNoData } = options;
  return {
    forwarder: { from: fromZone(from, block), except, nextRcodes, nextOnNoData, group: lazy.get },
    release: lazy.release,
  };
}

/** Additional settings of a group with upstreams given by name. */
function byName(
  names: ForwardUpstreams['names'],
  line: Line,
  { resolvers, group }: ForwardOptions,
  services: Services,
): Pick<UpstreamGroupOptions, 'names' | 'resolvers' | 'isOwn'> {
  const [first] = resolvers;
  if (names.length === 0) {
    if (first !== undefined)
      services.log.warn(
        { event: 'corefile-warning', option: 'resolver' },
        'resolver has no effect: no upstream is given by name',
      );
    return {};
  }
  if (group.endpointsName !== undefined)
    throw new ConfigError(
      line.name.place,
      'endpoints takes upstreams by address: remove it, or the names',
    );
  return {
    names,
    resolvers: readResolvers(resolvers, line.name, services),
    isOwn: ownListeners(services),
  };
}

/** For a network that spans several zones the first one is used, as in CoreDNS. */
function fromZone(token: Token, block: Block): Uint8Array {
  const [zone] = zonesOf([token], block);
  if (zone === undefined) throw badValue(token, 'a zone');
  return nameFromText(zone);
}

/** Created on first use, so that a configuration that is refused later leaves nothing behind. */
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
