/** What this process may do, read before the first attempt: a missing capability is named, not guessed from EPERM. */
import { NodensError } from '../../agent/base/errors.ts';
import type { System } from './system.ts';

/** Capabilities that init needs, as the container's securityContext names them: without `CAP_` (capabilities(7)). */
export type Capability = 'NET_ADMIN' | 'NET_RAW';

/** Bit of the capability in /proc/self/status (linux/capability.h). */
const BIT: Readonly<Record<Capability, bigint>> = { NET_ADMIN: 12n, NET_RAW: 13n };

/** Thrown where a capability is missing; the message says why it is needed and what to do. */
export class PrivilegeError extends NodensError {
  constructor(capability: Capability, purpose: string) {
    super(
      'NODENS_PRIVILEGE',
      `CAP_${capability} is missing, which is needed to ${purpose}: add ${capability} to the container's ` +
        'securityContext.capabilities.add (or run as root), or give up set-up with --setupinterface=false ' +
        '--setupiptables=false',
    );
  }
}

/** Rejects with `PrivilegeError` where `capability` is not effective. */
export async function requireCapability(
  system: System,
  capability: Capability,
  purpose: string,
): Promise<void> {
  const status = (await system.read('/proc/self/status')) ?? '';
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  // Without that line the first command shows whether it is allowed.
  if (effective === undefined) return;
  if (((BigInt(`0x${effective}`) >> BIT[capability]) & 1n) === 0n)
    throw new PrivilegeError(capability, purpose);
}
