/** `nodens agent`, and `nodens` without a subcommand: the resolver. */
import { keepAlive, systemClock } from '../base/clock.ts';
import { commandHelp } from '../base/commands/table.ts';
import { messageOf } from '../base/errors.ts';
import { Daemon } from '../daemon/daemon.ts';
import { nameProcess } from '../daemon/node/process-name.ts';
import type { AgentOptions } from '../daemon/options.ts';
import { banner, logServing } from './banner.ts';
import { setRunningFlags } from './heap.ts';
import { agentOptions, parseFlags } from './options.ts';

/** Resolves to the exit code, once a signal has stopped the agent. Throws UsageError for a wrong flag. */
export async function agentCommand(argv: readonly string[]): Promise<number> {
  const { values, wantsHelp } = parseFlags(argv, 'agent');
  if (wantsHelp) {
    process.stdout.write(commandHelp('agent'));
    return 0;
  }
  return await serve(agentOptions(values));
}

/** No command line at all: the built-in Corefile, and a banner for the terminal. */
export async function standaloneCommand(): Promise<number> {
  const options = agentOptions({ basecorefile: '', kubednscm: '' });
  return await serve(options, (daemon) => {
    process.stdout.write(banner(daemon));
  });
}

/** Serves until a signal; resolves to the exit code. */
export async function serve(
  options: AgentOptions,
  onServing: (daemon: Daemon) => void = logServing,
): Promise<number> {
  nameProcess('nodens-agent');
  const alive = keepAlive();
  const daemon = new Daemon(options, systemClock, process.env);
  surviveOwnFaults(daemon);
  const stopped = stopOnSignal(daemon);
  for (const signal of ['SIGUSR1', 'SIGHUP'] as const) {
    process.on(signal, () => void daemon.reload('signal'));
  }
  try {
    await daemon.start();
    setRunningFlags();
    if (!options.isQuiet && daemon.isListening) onServing(daemon);
  } catch (error) {
    // A stop was requested during the wait: handled like any other.
    if (daemon.isStopping) return await stopped;
    daemon.processServices.log.error({ event: 'start-failed' }, messageOf(error));
    await daemon.stop();
    return 1;
  }
  const code = await stopped;
  alive.cancel();
  return code;
}

/**
 * SIGTERM and SIGINT stop in order with exit code 0; a second one exits at once with 2. SIGQUIT exits at once with 0,
 * without the pending answers (as in CoreDNS). init notices the exit in any case.
 */
function stopOnSignal(daemon: Daemon): Promise<number> {
  return new Promise((resolve) => {
    let isStopping = false;
    const stop = (signal: string): void => {
      if (isStopping) process.exit(2);
      isStopping = true;
      daemon.processServices.log.info({ signal }, 'stopping');
      daemon.stop().then(
        () => resolve(0),
        () => resolve(1),
      );
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGQUIT', () => process.exit(0));
  });
}

/**
 * A bug in a callback must not end the node's DNS: it is counted and logged with its stack, and the agent continues. At
 * worst one query stays unanswered.
 */
function surviveOwnFaults(daemon: Daemon): void {
  const { log, metrics } = daemon.processServices;
  const report = (error: unknown): void => {
    metrics.counter('coredns_panics_total').value++;
    const stack = error instanceof Error ? error.stack : undefined;
    log.error({ stack, event: 'fault' }, `internal fault: ${messageOf(error)}`);
  };
  process.on('uncaughtException', report);
  process.on('unhandledRejection', report);
}
