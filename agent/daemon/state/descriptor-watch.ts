/**
 * Notices that there is no descriptor left. Where a listener has none for a client, libuv closes the connection and tells
 * its caller nothing, so it is tried out.
 */
import { closeSync, constants, openSync } from 'node:fs';
import type { Clock, Timer } from '../../base/clock.ts';
import { errnoOf } from '../../base/errors.ts';
import { lackOfOpening, type TellLack } from '../../base/lack.ts';

const LOOK_MS = 1_000;
/** There on every machine, and opened without I/O. */
const ALWAYS_THERE = '/';

/** Tells `tellLack` once a second while nothing can be opened. */
export function watchDescriptors(clock: Clock, tellLack: TellLack): Timer {
  return clock.every(LOOK_MS, () => {
    try {
      closeSync(openSync(ALWAYS_THERE, constants.O_RDONLY));
    } catch (error) {
      const errno = errnoOf(error);
      const lack = lackOfOpening(errno);
      if (lack !== undefined) tellLack(lack, errno, 'accept connections or open sockets and files');
    }
  });
}
