/** V8's threads beside the one that answers DNS: they mark garbage and compile. */
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';

/** A tenth of the main thread's weight (sched(7)). */
const NICE = 10;
const THREADS = '/proc/self/task';

/**
 * Puts them behind the main thread, which otherwise waits while one of them has its processor. Other containers do not come
 * before them: the kernel divides the time of a container among its own threads. libuv's threads, which read files, come
 * later and stay as they are: they have little to do.
 */
export function putHelpersBehind(): void {
  try {
    // To Linux, each thread has a priority of its own (setpriority(2)).
    for (const id of readdirSync(THREADS).map(Number))
      if (id !== process.pid) setPriority(id, NICE);
  } catch {
    // Without a readable /proc, all threads are equal.
  }
}
