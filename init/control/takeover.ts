/**
 * Takeover from a dead node-local-dns: removes the rules and the link that it left, because they keep queries from
 * kube-dns although no server answers. A node-local-dns that still runs is left alone.
 */
import type { Clock, Timer } from '../../agent/base/clock.ts';
import { messageOf } from '../../agent/base/errors.ts';
import type { Probe } from '../agent/probe.ts';
import type { Iptables } from '../firewall/iptables/backend.ts';
import type { Log } from '../log.ts';
import { nodeLocalDnsLinkCommands } from '../node/link.ts';
import { udpSocketsIn } from '../node/proc.ts';
import type { System } from '../node/system.ts';
import type { Plan } from '../plan/plan.ts';

/** While one still runs, or after a failure. */
const RETRY_MS = 5_000;

/** A backend that finds and removes node-local-dns's iptables rules. */
export type NodeLocalDnsTables = Pick<Iptables, 'nodeLocalDnsRules' | 'removeNodeLocalDns'>;

/** What `NodeLocalDnsTakeover` needs of init. */
export interface TakeoverParts {
  readonly system: System;
  readonly clock: Clock;
  readonly log: Log;
  readonly probe: Probe;
  readonly plan: Pick<Plan, 'interfaceName' | 'addresses'>;
  readonly port: number;
  /** Where to look for rules; none where init installs no rules. Called once. */
  readonly tables: () => Promise<readonly NodeLocalDnsTables[]>;
  /** Whether init puts the local IPs on its own link, so that the other link can go. */
  readonly ownsAddresses: boolean;
  readonly syncIntervalMs: number;
}

/** What node-local-dns left: lines of iptables, commands that remove the link. */
interface Found {
  readonly rules: readonly string[];
  readonly link: readonly (readonly string[])[];
}

/**
 * Recognises rules by node-local-dns's comments, and its link by the name `nodelocaldns`. A socket on a local IP that
 * does not answer the probe's name counts as a running node-local-dns.
 */
export class NodeLocalDnsTakeover {
  readonly #parts: TakeoverParts;
  #tables: Promise<readonly NodeLocalDnsTables[]> | undefined;
  #timer: Timer | undefined;
  #isStopped = false;
  #lastLogged = '';

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
  }

  /** Looks now, when the local IPs are in place, and from time to time from now on. Never rejects. */
  async watch(): Promise<void> {
    const isDone = await this.takeOver();
    if (this.#isStopped) return;
    const { clock, syncIntervalMs } = this.#parts;
    const delayMs = isDone ? syncIntervalMs : Math.min(RETRY_MS, syncIntervalMs);
    this.#timer = clock.after(delayMs, () => void this.watch());
  }

  /** Looks once. Resolves to false where it has to be tried again soon; never rejects. */
  async takeOver(): Promise<boolean> {
    const { log } = this.#parts;
    try {
      const found = await this.#find();
      if (found.rules.length + found.link.length === 0) return true;
      const running = await this.#stillRunning();
      if (running.length > 0) {
        this.#warn('a node-local-dns still runs here: nodens leaves it alone and waits', {
          addresses: running,
        });
        return false;
      }
      for (const removed of await this.#remove(found))
        log.info('removed what a dead node-local-dns left', { removed });
      return true;
    } catch (error) {
      this.#warn('cannot remove what a dead node-local-dns left', { error: messageOf(error) });
      return false;
    }
  }

  /** Ends `watch`. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** What `takeOver` would do, as lines for `--observe`. */
  async explain(): Promise<string[]> {
    const { rules, link } = await this.#find();
    if (rules.length + link.length === 0) return [];
    const running = await this.#stillRunning();
    const fate =
      running.length === 0 ? 'removed' : `left alone, it still runs on ${running.join(', ')}`;
    return [
      `# left by node-local-dns: ${rules.length} rules of iptables, to be ${fate}`,
      ...link.map((args) => `ip ${args.join(' ')}`),
    ];
  }

  async #find(): Promise<Found> {
    const { system, plan, tables, ownsAddresses } = this.#parts;
    this.#tables ??= tables();
    const rules: string[] = [];
    for (const table of await this.#tables) rules.push(...(await table.nodeLocalDnsRules()));
    return { rules, link: ownsAddresses ? await nodeLocalDnsLinkCommands(system.run, plan) : [] };
  }

  /** Rules first: an address without rules is harmless, but rules without the address drop queries. */
  async #remove({ link }: Found): Promise<string[]> {
    const { system } = this.#parts;
    const removed: string[] = [];
    for (const table of (await this.#tables) ?? [])
      removed.push(...(await table.removeNodeLocalDns()));
    for (const args of link) {
      await system.run('ip', args);
      removed.push(`ip ${args.join(' ')}`);
    }
    return removed;
  }

  /** Local IPs with a socket that is not nodens': node-local-dns does not answer the probe's name. */
  async #stillRunning(): Promise<string[]> {
    const { system, plan, port, probe } = this.#parts;
    const v4 = udpSocketsIn((await system.read('/proc/net/udp')) ?? '', 4);
    const v6 = udpSocketsIn((await system.read('/proc/net/udp6')) ?? '', 6);
    const bound = plan.addresses.filter((ip) =>
      [...v4, ...v6].some((socket) => socket.port === port && socket.address === ip),
    );
    const texts = await Promise.all(bound.map(async (ip) => (await probe('udp', ip, port)).text));
    return bound.filter((_, i) => texts[i] === undefined);
  }

  /** Logs a warning once, until it changes. */
  #warn(message: string, fields: Readonly<Record<string, unknown>>): void {
    const line = JSON.stringify([message, fields]);
    if (line !== this.#lastLogged)
      this.#parts.log.warn(message, { event: 'node-local-dns', ...fields });
    this.#lastLogged = line;
  }
}
