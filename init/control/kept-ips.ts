/**
 * Local IPs that are not of this plan, but in the kernel's rules or marked addresses: the settings have changed, or another
 * nodens has other ones. While an agent answers there, its standing rules have to stay. Without the rule that untracks
 * replies a conntrack entry captures the client's socket, which then never gets another answer. When no socket answers there
 * any more, init removes the rules, then the address: only those that existed when it started, and each once. Addresses that
 * appear later belong to an init that runs.
 */
import { type Family, familyOf } from '../../agent/base/address.ts';
import type { Clock, Timer } from '../../agent/base/clock.ts';
import { messageOf } from '../../agent/base/errors.ts';
import type { Log } from '../log.ts';
import { CommandError } from '../node/exec.ts';
import type { Link } from '../node/link.ts';
import { udpSocketsIn } from '../node/proc.ts';
import type { System } from '../node/system.ts';
import type { RuleState } from '../plan/desired-rules.ts';
import type { Plan } from '../plan/plan.ts';

const LOOK_MS = 2_000;
/** No socket may answer for this long: an agent may be restarting. */
const QUIET_MS = 5_000;
/** Where conntrack's entries cannot be removed: longer than the kernel keeps one for UDP without packets. */
const ENTRIES_MS = 180_000;

/** TCP states in /proc of sockets that answer: ESTABLISHED, CLOSE_WAIT, LISTEN. */
const TCP_ANSWERS = new Set(['01', '08', '0A']);

/** What `KeptIps` needs of init. */
export interface KeptParts {
  readonly plan: Pick<Plan, 'addresses' | 'interceptedIps' | 'port'>;
  /** Local IPs that standing rules in the kernel name. */
  readonly standingIps: () => Promise<readonly string[]>;
  /** One pass over addresses and rules; resolves to whether all is in place. */
  readonly pass: () => Promise<boolean>;
  /** Undefined where another program adds the addresses. */
  readonly link: Pick<Link, 'strays' | 'remove'> | undefined;
  readonly system: System;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Looks every 2 s once it watches. It removes an address and its rules after 5 s without a socket, or after 3 minutes
 * where conntrack's entries cannot be removed.
 */
export class KeptIps {
  readonly #parts: KeptParts;
  #known: readonly string[] = [];
  /** Those that init may remove; undefined before the first look. */
  #earlier: Set<string> | undefined;
  #removed: readonly string[] = [];
  readonly #quietSinceMs = new Map<string, number>();
  #timer: Timer | undefined;
  #isWatching = false;
  #lastLogged = '';

  constructor(parts: KeptParts) {
    this.#parts = parts;
  }

  /** Local IPs whose rules have to stay, and those that no rule may name. Rejects where the kernel cannot be read. */
  async look(): Promise<Pick<RuleState, 'keptIps' | 'removedIps'>> {
    const { plan, standingIps, link } = this.#parts;
    const standing = (await standingIps()).filter((ip) => !plan.interceptedIps.includes(ip));
    const strays = (await link?.strays().catch(() => [])) ?? [];
    this.#known = [...new Set([...standing, ...strays])];
    this.#earlier ??= new Set(this.#known);
    this.#schedule();
    const keptIps = [...new Set(standing)].filter((ip) => !this.#removed.includes(ip));
    return { keptIps, removedIps: this.#removed };
  }

  /** From now on looks for local IPs that init can remove. */
  watch(): void {
    this.#isWatching = true;
    this.#schedule();
  }

  /** Ends `watch`; `look` still works. */
  stop(): void {
    this.#isWatching = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    if (!this.#isWatching || this.#timer !== undefined || this.#candidates.length === 0) return;
    this.#timer = this.#parts.clock.after(LOOK_MS, () => void this.#check());
  }

  get #candidates(): string[] {
    return this.#known.filter((ip) => this.#earlier?.has(ip));
  }

  async #check(): Promise<void> {
    const { clock, log } = this.#parts;
    try {
      const answering = await this.#answering();
      const nowMs = clock.nowMs();
      for (const ip of this.#candidates) {
        if (answering.has(ip)) this.#quietSinceMs.delete(ip);
        else if (!this.#quietSinceMs.has(ip)) this.#quietSinceMs.set(ip, nowMs);
      }
      const due = this.#candidates.filter((ip) => this.#isQuiet(ip, QUIET_MS));
      if (due.length > 0 && this.#isWatching) await this.#retire(due);
    } catch (error) {
      log.warn('cannot look at the local IPs of earlier settings', {
        event: 'old-local-ips',
        error: messageOf(error),
      });
    }
    this.#timer = undefined;
    this.#schedule();
  }

  #isQuiet(ip: string, durationMs: number): boolean {
    const sinceMs = this.#quietSinceMs.get(ip);
    return sinceMs !== undefined && this.#parts.clock.nowMs() - sinceMs >= durationMs;
  }

  /** Conntrack entries first, while no new ones can appear; then the rules; the address last: rules without it drop queries. */
  async #retire(quiet: readonly string[]): Promise<void> {
    const due: string[] = [];
    for (const ip of quiet)
      if ((await this.#endEntries(ip)) || this.#isQuiet(ip, ENTRIES_MS)) due.push(ip);
    if (due.length === 0) return;
    this.#removed = due;
    const isDone = await this.#parts.pass();
    this.#removed = [];
    if (!isDone) return;
    const { plan, link, log } = this.#parts;
    const removed = (await link?.remove(due.filter((ip) => !plan.addresses.includes(ip)))) ?? [];
    for (const ip of due) this.#earlier?.delete(ip);
    log.info('removed local IPs of earlier settings, where no server answers any more', {
      localIps: due,
      removed,
    });
  }

  /** Removes flows whose first packet was an answer. Resolves to whether there are none any more. */
  async #endEntries(ip: string): Promise<boolean> {
    const { system, log, plan } = this.#parts;
    for (const protocol of ['udp', 'tcp']) {
      const flow = ['-f', `ipv${familyOf(ip)}`, '-p', protocol, '--orig-src', ip];
      try {
        await system.run('conntrack', ['-D', ...flow, '--orig-port-src', String(plan.port)]);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        // No entries: not a failure.
        if (error.stderr.includes('0 flow entries')) continue;
        const reason = error.exitCode === undefined ? 'conntrack does not run' : messageOf(error);
        if (reason !== this.#lastLogged)
          log.warn('rules for local IPs of earlier settings stay for some minutes', {
            event: 'old-local-ips',
            reason,
          });
        this.#lastLogged = reason;
        return false;
      }
    }
    return true;
  }

  /** Addresses with a socket on the DNS port. A wildcard socket belongs to another server. */
  async #answering(): Promise<Set<string>> {
    const { system, plan } = this.#parts;
    const found = new Set<string>();
    for (const [path, family] of TABLES) {
      const text = (await system.read(path)) ?? '';
      const states = path.includes('tcp') ? TCP_ANSWERS : undefined;
      for (const ip of socketsOn(text, family, plan.port, states)) found.add(ip);
    }
    return found;
  }
}

const TABLES: readonly (readonly [string, Family])[] = [
  ['/proc/net/udp', 4],
  ['/proc/net/udp6', 6],
  ['/proc/net/tcp', 4],
  ['/proc/net/tcp6', 6],
];

/** TCP tables are long: only lines with the port are parsed. */
function socketsOn(
  text: string,
  family: Family,
  port: number,
  states: ReadonlySet<string> | undefined,
): string[] {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const [head = '', ...lines] = text.split('\n');
  const ours = lines.filter((line) => {
    const [, local, , state = ''] = line.trim().split(/\s+/, 4);
    return local?.endsWith(hex) === true && (states === undefined || states.has(state));
  });
  return udpSocketsIn([head, ...ours].join('\n'), family).map(({ address }) => address);
}
