/** Selects the compiled addon's transports if it loads, and their replacements in Node.js if not. */
import type { Clock } from '../base/clock.ts';
import { releaseRegularly } from '../base/pages.ts';
import type { ClearBytes } from '../base/segments.ts';
import type { Logger } from '../query/services/log.ts';
import { loadAddon } from './addon.ts';
import { startMemoryHolder } from './memory-holder.ts';
import { shrinkRegularly, type Usage } from './shrink-heap.ts';
import { type ListenTcp, sharedListen, takeoverListen } from './tcp/reuseport-takeover.ts';
import { batchOpener } from './udp/batch.ts';
import { type ConnectedSockets, connectedOpener } from './udp/connected.ts';
import type { OpenUdp } from './udp/contract.ts';
import { openDgram } from './udp/dgram.ts';

/** The transports of this process: all of them the addon's, or all of them Node.js's. */
export interface Native {
  readonly openUdp: OpenUdp;
  /** Whether one socket of `openUdp` can serve every address. */
  readonly isUdpWildcard: boolean;
  readonly listenTcp: ListenTcp;
  /** For queries to upstreams; undefined: use node:dgram. */
  readonly connected: ConnectedSockets | undefined;
  readonly clearBytes: ClearBytes;
}

const ownUsage: Usage = {
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  heapBytes: () => process.memoryUsage().heapTotal,
};

/**
 * Logs one line if the addon is not used. `NODENS_UDP=dgram` in the environment forces that: to compare the two, or to
 * exclude the addon as the cause of a fault.
 */
export function selectTransport(log: Logger, clock: Clock): Native {
  const portable: Native = {
    ...{ openUdp: openDgram, isUdpWildcard: false, listenTcp: sharedListen },
    connected: undefined,
    clearBytes: (bytes) => void bytes.fill(0),
  };
  if (process.env.NODENS_UDP === 'dgram') {
    log.info({}, 'NODENS_UDP=dgram: UDP uses one system call for each datagram');
    return portable;
  }
  const addon = loadAddon();
  if (!(addon instanceof Error)) {
    startMemoryHolder(addon, log);
    releaseRegularly(addon, clock);
    shrinkRegularly(addon, ownUsage, clock);
    return {
      openUdp: batchOpener(addon),
      isUdpWildcard: true,
      listenTcp: takeoverListen(addon),
      connected: connectedOpener(addon),
      clearBytes: addon.clearBytes,
    };
  }
  const text = 'cannot load the native addon, UDP uses one system call for each datagram';
  log.warn({ event: 'addon-missing' }, `${text}: ${addon.message}`);
  return portable;
}
