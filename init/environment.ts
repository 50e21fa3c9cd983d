/** Where init runs: the node, the clock and the streams. Tests replace it. */
import { type Clock, systemClock } from '../agent/base/clock.ts';
import { type Log, makeLog } from './log.ts';
import { realSystem, residentSystem, type System } from './node/system.ts';

/** What `main` hands to all parts of init. Sockets, child processes and signals are not in it, see `ServiceEdge`. */
export interface Environment {
  readonly system: System;
  readonly clock: Clock;
  readonly log: Log;
  /** Environment variables of the container; the kubelet adds those for the Services of the pod's namespace. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes to standard output. */
  readonly print: (text: string) => void;
  /** Writes to standard error. */
  readonly complain: (text: string) => void;
}

/** The environment of a real run: this node, the system clock, and log lines on standard output. */
export function realEnvironment(): Environment {
  const print = (text: string): void => void process.stdout.write(text);
  return {
    system: realSystem,
    clock: systemClock,
    log: makeLog(systemClock, print),
    env: process.env,
    print,
    complain: (text) => void process.stderr.write(text),
  };
}

/** The environment of an init that stays on this node. A test keeps its own. */
export function asResident(environment: Environment): Environment {
  return environment.system === realSystem
    ? { ...environment, system: residentSystem }
    : environment;
}
