/**
 * Detects that no file descriptor is left. If a listener has none for a client, libuv closes the connection without an
 * error, so this tries to open one.
 */
import { closeSync, constants, openSync } from 'node:fs';
import type { Clock, Timer } from '../../base/clock.ts';
import { errnoOf } from '../../base/errors.ts';
import { lackOfOpening, type ReportLack } from '../../base/lack.ts';

const LOOK_MS = 1_000;
/** Exists on every machine, and opens without I/O. */
const ALWAYS_THERE = '/';

/** Calls `reportLack` once a second while nothing can be opened. */
export function watchDescriptors(clock: Clock, reportLack: ReportLack): Timer {
  return clock.every(LOOK_MS, () => {
    try {
      closeSync(openSync(ALWAYS_THERE, constants.O_RDONLY));
    } catch (error) {
      const errno = errnoOf(error);
      const lack = lackOfOpening(errno);
      if (lack !== undefined)
        reportLack(lack, errno, 'accept connections or open sockets and files');
    }
  });
}
