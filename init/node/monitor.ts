/**
 * Hears at once when somebody takes away what init has put: `nft monitor` and `ip monitor` as children, begun anew when
 * they end. What legacy iptables does is told to nobody: there a query now and then finds out whether it is still led to
 * the agent. It only says that a look is worthwhile; the look itself finds out.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock, Timer } from '../../agent/base/clock.ts';

/** A flush comes as many lines: one look after the last is enough. */
const SETTLE_MS = 50;
/** Between two looks, whoever makes the noise. */
const MIN_INTERVAL_MS = 500;
const RESTART_MS = 1_000;
const MAX_RESTART_MS = 60_000;
/** Between two queries that find out. */
const ASK_INTERVAL_MS = 500;
/** A child that lived this long did its work. */
const WELL_MS = 10_000;

export interface MonitorOptions {
  readonly clock: Clock;
  /** Local IPs, and the link they are on. */
  readonly addresses: readonly string[];
  readonly interfaceName: string;
  /** Whether nft is there to be listened to. */
  readonly hasNft: boolean;
  /** Whether the rules still work; undefined where nft tells all about them. Never rejects. */
  readonly isIntact: (() => Promise<boolean>) | undefined;
  readonly onChange: () => void;
}

/** Starts listening; returns what ends it. */
export function startMonitor(options: MonitorOptions): () => void {
  const { clock, addresses, interfaceName, hasNft, isIntact, onChange } = options;
  const look = limited(clock, onChange);
  const link = new RegExp(`^(Deleted )?\\d+: ${escaped(interfaceName)}[@:]`);
  const ends = [
    keepRunning(clock, 'ip', ['monitor', 'link', 'address'], (line) => {
      const lost = line.startsWith('Deleted') && addresses.some((ip) => line.includes(` ${ip}/`));
      if (lost || (link.test(line) && !/[<,]UP[,>]/.test(line))) look();
    }),
    ...(hasNft
      ? [
          keepRunning(clock, 'nft', ['monitor', 'destroy'], (line) => {
            if (/\bnodens_|NODENS-/.test(line)) look();
          }),
        ]
      : []),
    ...(isIntact === undefined ? [] : [keepAsking(clock, isIntact, look)]),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** `work` soon after the first call, and not more often than every `MIN_INTERVAL_MS`. */
function limited(clock: Clock, work: () => void): () => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  let timer: Timer | undefined;
  return () => {
    if (timer !== undefined) return;
    const waitMs = Math.max(SETTLE_MS, lastMs + MIN_INTERVAL_MS - clock.nowMs());
    timer = clock.after(waitMs, () => {
      timer = undefined;
      lastMs = clock.nowMs();
      work();
    });
  };
}

/** The next question comes some time after the last answer, whatever that took. */
function keepAsking(
  clock: Clock,
  isIntact: () => Promise<boolean>,
  onDamage: () => void,
): () => void {
  let isEnded = false;
  let timer: Timer | undefined;
  const ask = async (): Promise<void> => {
    const intact = await isIntact();
    if (isEnded) return;
    if (!intact) onDamage();
    timer = clock.after(ASK_INTERVAL_MS, () => void ask());
  };
  void ask();
  return () => {
    isEnded = true;
    timer?.cancel();
  };
}

function keepRunning(
  clock: Clock,
  program: string,
  args: readonly string[],
  onLine: (line: string) => void,
): () => void {
  let child: ChildProcess | undefined;
  let timer: Timer | undefined;
  let delayMs = RESTART_MS;
  let isEnded = false;
  const start = (): void => {
    const startedMs = clock.nowMs();
    const started = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    child = started;
    createInterface({ input: started.stdout }).on('line', onLine);
    started.on('error', () => undefined);
    started.on('close', () => {
      if (isEnded) return;
      const wasWell = clock.nowMs() - startedMs > WELL_MS;
      delayMs = wasWell ? RESTART_MS : Math.min(2 * delayMs, MAX_RESTART_MS);
      timer = clock.after(delayMs, start);
    });
  };
  start();
  return () => {
    isEnded = true;
    timer?.cancel();
    child?.kill('SIGKILL');
  };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
