/** Which UDP transport this process uses. */
import type { Logger } from '../../query/services.ts';
import { batchOpener, loadBatchAddon } from './batch.ts';
import type { OpenUdp } from './contract.ts';
import { openDgram } from './dgram.ts';

/**
 * The batch transport where its addon loads, else node:dgram, with one line that says so. `NODENS_UDP=dgram` in the
 * environment asks for node:dgram: to compare the two, or to rule the addon out when something is odd.
 */
export function chooseUdp(log: Logger): OpenUdp {
  if (process.env.NODENS_UDP === 'dgram') {
    log.info({}, 'UDP one datagram at a time: NODENS_UDP=dgram');
    return openDgram;
  }
  const addon = loadBatchAddon();
  if (!(addon instanceof Error)) return batchOpener(addon);
  log.warn({}, `UDP one datagram at a time: the batch addon cannot be used: ${addon.message}`);
  return openDgram;
}
