/** The name of the process in /proc. */
import { writeFileSync } from 'node:fs';

/**
 * Names this process for `ps`, `top` and the kernel's OOM report, where Node calls it MainThread. `process.title` would
 * overwrite the arguments as well. At most 15 characters.
 */
export function nameProcess(name: string): void {
  try {
    writeFileSync('/proc/self/comm', name);
  } catch {
    // Without a writable /proc only the name is missing.
  }
}
