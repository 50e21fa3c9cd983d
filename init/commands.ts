/** What the command line asks for, carried out: run, once, cleanup, observe. */
import { systemClock } from '../agent/base/clock.ts';
import { messageOf, NodensError, UsageError } from '../agent/base/errors.ts';
import { chooseFirewall, type Firewall, NoBackendError } from './choose.ts';
import { cleanUp } from './cleanup.ts';
import { Link } from './link.ts';
import { type Log, makeLog } from './log.ts';
import { helpText, type InitOptions, initOptionsFrom, USAGE } from './options.ts';
import { type Plan, planOf, rulesAt } from './plan.ts';
import { requireCapability } from './privileges.ts';
import { Reconciler } from './reconcile.ts';
import { run } from './run.ts';
import { realSystem as system } from './system.ts';

/** Names the rules of this instance; one nodens a node for now. */
const INSTANCE = 'main';

const log = makeLog(systemClock, (line) => void process.stdout.write(line));

/** Resolves to the exit code. 0: done; 1: could not; 2: the command line is wrong. */
export async function main(argv: readonly string[]): Promise<number> {
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  if (own.includes('--help') || own.includes('-h')) {
    process.stdout.write(helpText());
    return 0;
  }
  try {
    return await carryOut(initOptionsFrom(argv));
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`nodens init: ${error.message}\n${USAGE}\n`);
      return 2;
    }
    const stack = error instanceof NodensError ? undefined : (error as Error).stack;
    log.error(messageOf(error), { stack });
    return 1;
  }
}

async function carryOut(options: InitOptions): Promise<number> {
  const plan = planOf(options);
  if (options.mode === 'observe') return observe(options, plan);
  if (options.mode === 'cleanup') {
    await requireCapability(system, 'NET_ADMIN', 'remove addresses and rules');
    await cleanUp(system, log, plan, INSTANCE);
    return 0;
  }
  if (options.setupInterface || options.setupRules)
    await requireCapability(system, 'NET_ADMIN', 'put addresses and rules on the node');
  const firewall = options.setupRules ? await choose(options, plan) : undefined;
  if (options.mode === 'once') return once(options, plan, firewall);
  return run({ options, plan, firewall, system, clock: systemClock, log });
}

async function choose(options: InitOptions, plan: Plan): Promise<Firewall> {
  const firewall = await chooseFirewall(system, options.backend, plan.rules, INSTANCE);
  if (firewall.name === 'iptables-legacy')
    await requireCapability(system, 'NET_RAW', 'use iptables-legacy');
  return firewall;
}

/** Nobody stays who could withdraw: only the rules that die with the agent's socket. */
async function once(
  options: InitOptions,
  plan: Plan,
  firewall: Firewall | undefined,
): Promise<number> {
  const reconciler = new Reconciler({
    link: options.setupInterface ? new Link(system.run, log, plan) : undefined,
    firewall,
    rules: plan.rules,
    clock: systemClock,
    log,
    syncIntervalMs: options.syncIntervalMs,
    onChange: () => undefined,
  });
  const complete = await reconciler.want('guarded');
  reconciler.stop();
  if (complete) log.info('set up', { backend: firewall?.name, reason: firewall?.reason });
  return complete ? 0 : 1;
}

async function observe(options: InitOptions, plan: Plan): Promise<number> {
  const lines: string[] = [];
  if (options.setupInterface) lines.push(...(await new Link(system.run, quiet, plan).explain()));
  if (options.setupRules) lines.push(...(await observeRules(options, plan)));
  process.stdout.write(`${lines.join('\n').trimEnd()}\n`);
  return 0;
}

async function observeRules(options: InitOptions, plan: Plan): Promise<string[]> {
  try {
    const firewall = await chooseFirewall(system, options.backend, plan.rules, INSTANCE);
    const text = firewall.explain(rulesAt(plan.rules, 'full'));
    return [`# backend ${firewall.name}: ${firewall.reason}`, text];
  } catch (error) {
    if (error instanceof NoBackendError) return [`# no backend: ${error.message}`];
    throw error;
  }
}

const quiet: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
