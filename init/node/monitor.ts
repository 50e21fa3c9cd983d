/**
 * Reports at once that another program may have removed addresses or rules of init: `nft monitor` and `ip monitor` run as
 * children. The kernel does not report changes by legacy iptables: there a query every half second finds out whether the
 * agent still gets it. A report only means that a reconciler pass is worthwhile; the pass finds out what is missing.
 */
import type { Clock, Timer } from '../../agent/base/clock.ts';
import { type StartLines, startLines } from './line-process.ts';

/** A flush comes as many lines: one report is enough. */
const SETTLE_MS = 50;
/** Between two reports: a program that changes rules all the time must not keep init busy. */
const MIN_INTERVAL_MS = 500;
const RESTART_MS = 1_000;
const MAX_RESTART_MS = 60_000;
/** From one answer to the next query. */
const ASK_INTERVAL_MS = 500;
/** A child that ran this long worked: its end is no reason to wait longer. */
const WELL_MS = 10_000;

/** What `startMonitor` watches, and where it reports. */
export interface MonitorOptions {
  readonly clock: Clock;
  /** Local IPs, and the link they are on. */
  readonly addresses: readonly string[];
  readonly interfaceName: string;
  /** Whether nft works on this node. */
  readonly hasNft: boolean;
  /** Whether the rules still work; undefined where `nft monitor` reports every change. Never rejects. */
  readonly isIntact: (() => Promise<boolean>) | undefined;
  /** Called 50 ms after a first sign of change, and at most twice a second. */
  readonly onChange: () => void;
  /** Starts a child; tests replace it. */
  readonly start?: StartLines;
}

/** Returns what ends it. */
export function startMonitor(options: MonitorOptions): () => void {
  const { clock, addresses, interfaceName, hasNft, isIntact, onChange } = options;
  const report = limited(clock, onChange);
  const link = new RegExp(`^(Deleted )?\\d+: ${escaped(interfaceName)}[@:]`);
  const ends = [
    keepRunning(options, 'ip', ['monitor', 'link', 'address'], (line) => {
      const lost = line.startsWith('Deleted') && addresses.some((ip) => line.includes(` ${ip}/`));
      if (lost || (link.test(line) && !/[<,]UP[,>]/.test(line))) report();
    }),
    ...(hasNft
      ? [
          keepRunning(options, 'nft', ['monitor', 'destroy'], (line) => {
            if (/\bnodens_|NODENS-/.test(line)) report();
          }),
        ]
      : []),
    ...(isIntact === undefined ? [] : [keepAsking(clock, isIntact, report)]),
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

/** Waits the interval after each answer, however long that took. */
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

/** Starts the program again whenever it ends: after a second where it ran well, else later each time. */
function keepRunning(
  { clock, start = startLines }: Pick<MonitorOptions, 'clock' | 'start'>,
  program: string,
  args: readonly string[],
  onLine: (line: string) => void,
): () => void {
  let kill: () => void = () => undefined;
  let timer: Timer | undefined;
  let delayMs = RESTART_MS;
  let isEnded = false;
  const run = (): void => {
    const startedMs = clock.nowMs();
    const onEnd = (): void => {
      if (isEnded) return;
      const ranWell = clock.nowMs() - startedMs > WELL_MS;
      delayMs = ranWell ? RESTART_MS : Math.min(2 * delayMs, MAX_RESTART_MS);
      timer = clock.after(delayMs, run);
    };
    kill = start(program, args, { onLine, onEnd });
  };
  run();
  return () => {
    isEnded = true;
    timer?.cancel();
    kill();
  };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
