/** A process that attacks until its input ends: `attacker.ts PORT METRICS ADDRESS ATTACK …`, several attacks in parallel. */
import type { Target } from './crowd.ts';
import { HTTP_ATTACKS } from './http.ts';
import { TCP_ATTACKS } from './tcp.ts';
import { UDP_ATTACKS } from './udp.ts';

const ATTACKS: Readonly<Record<string, (target: Target) => Promise<unknown>>> = {
  ...HTTP_ATTACKS,
  ...TCP_ATTACKS,
  ...UDP_ATTACKS,
};

const [port, metrics, address = '', ...names] = process.argv.slice(2);
// Even where a connection attempt never ends.
process.stdin.resume().on('end', () => process.exit());
await Promise.all(
  names.map((name) => {
    const attack = ATTACKS[name];
    if (attack === undefined) throw new Error(`unknown attack: ${name}`);
    return attack({ port: Number(port), metrics: Number(metrics), address });
  }),
);
