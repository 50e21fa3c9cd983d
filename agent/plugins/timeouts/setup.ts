/** `timeouts { read D; write D; idle D; maxtcpqueries N|-1 }`: TCP timeouts on the block's addresses. */
import { ConfigError } from '../../base/errors.ts';
import { durationArg, intArg, noArgs, oneArg, readOptions } from '../../config/corefile/args.ts';
import type { Block, Directive, Line } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { TcpTimeouts } from '../../query/services/process.ts';
import type { Services } from '../../query/services/services.ts';

const RANGE = { minMs: 1_000, maxMs: 24 * 3_600_000, bareSeconds: true } as const;
const UNLIMITED = -1;

/** Durations are 1 s to 24 h; a number without a unit means seconds. Throws ConfigError for a use without options. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  // The last value of several uses is effective, as in CoreDNS.
  services.process.tcpTimeouts(Object.assign({}, ...directive.uses.map(readTimeouts)));
  return { name: 'timeouts' };
}

function readTimeouts(line: Line): TcpTimeouts {
  noArgs(line);
  const timeouts: { -readonly [K in keyof TcpTimeouts]?: TcpTimeouts[K] } = {};
  const duration = (option: Line): number => durationArg(oneArg(option), RANGE);
  readOptions(line, {
    read: (option) => {
      timeouts.readMs = duration(option);
    },
    write: (option) => {
      timeouts.writeMs = duration(option);
    },
    idle: (option) => {
      timeouts.idleMs = duration(option);
    },
    maxtcpqueries: (option) => {
      const count = intArg(oneArg(option), { min: UNLIMITED });
      timeouts.maxQueries = count <= 0 ? Number.POSITIVE_INFINITY : count;
    },
  });
  if (Object.keys(timeouts).length === 0)
    throw new ConfigError(
      line.name.place,
      'timeouts needs one of read, write, idle, maxtcpqueries',
    );
  return timeouts;
}
