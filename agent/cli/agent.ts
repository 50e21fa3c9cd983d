/** `nodens agent`, and `nodens` alone: the resolver. */
import { keepAlive, systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { flagHelp } from '../base/flags/help.ts';
import { Daemon } from '../daemon/daemon.ts';
import type { AgentOptions } from '../daemon/options.ts';
import { banner, logServing } from './banner.ts';
import { agentOptions, parseFlags } from './options.ts';

export async function agentCommand(argv: readonly string[]): Promise<number> {
  const { values, wantsHelp } = parseFlags(argv, 'agent');
  if (wantsHelp) {
    const head = 'nodens agent: answers DNS queries; changes nothing on the node';
    process.stdout.write(`${head}\n\n${flagHelp('agent')}\n`);
    return 0;
  }
  return await serve(agentOptions(values));
}

/** No command line at all: the built-in Corefile, a banner for the person at the terminal. */
export async function standaloneCommand(): Promise<number> {
  const options = agentOptions({ basecorefile: '', kubednscm: '' });
  return await serve(options, (daemon) => {
    process.stdout.write(banner(daemon));
  });
}

/** Serves until a signal says otherwise; resolves to the exit code. */
export async function serve(
  options: AgentOptions,
  onServing: (daemon: Daemon) => void = logServing,
): Promise<number> {
  const alive = keepAlive();
  const daemon = new Daemon(options, systemClock, process.env);
  surviveOwnFaults(daemon);
  const stopped = stopOnSignal(daemon);
  for (const signal of ['SIGUSR1', 'SIGHUP'] as const) {
    process.on(signal, () => void daemon.reload('signal'));
  }
  try {
    await daemon.start();
    if (!options.isQuiet && daemon.isListening) onServing(daemon);
  } catch (error) {
    // Asked to go while it waited for something: a stop like any other.
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
 * SIGTERM and SIGINT stop in order and give 0; a second one ends at once with 2. SIGQUIT ends at once with 0, without
 * the answers that are under way (as CoreDNS). init sees our end in any case.
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
 * A fault of our own in a callback must not take a node's DNS away: counted, logged with its stack, and on. What it
 * leaves behind is at worst one unanswered query.
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
