/**
 * Loads the agent's addon (`native/`): batches of datagrams, TCP listeners that take over from an older one, the memory
 * holder, and the release of unneeded memory.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../base/errors.ts';
import type { PagesAddon } from '../base/pages.ts';
import type { ClearBytes } from '../base/segments.ts';
import type { MemoryHolderAddon } from './memory-holder.ts';
import type { HeapAddon } from './shrink-heap.ts';
import type { TakeoverAddon } from './tcp/reuseport-takeover.ts';
import type { BatchAddon } from './udp/addon-buffers.ts';

/** Next to the bundle, or where the install script builds it in a source tree. */
const PLACES = ['../native/agent.node', '../../build/agent.node'];

/** Of `native/process/clear_bytes.c`. */
interface ClearAddon {
  readonly clearBytes: ClearBytes;
}

type Addon = BatchAddon & ClearAddon & HeapAddon & MemoryHolderAddon & PagesAddon & TakeoverAddon;

/** The addon, or the reason why it cannot be loaded. Further calls cost nothing. */
export function loadAddon(): Addon | Error {
  const place = PLACES.map((path) => fileURLToPath(new URL(path, import.meta.url))).find(
    existsSync,
  );
  if (place === undefined) return new Error('it was not compiled (no C compiler at install)');
  try {
    return createRequire(import.meta.url)(place) as Addon;
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}
