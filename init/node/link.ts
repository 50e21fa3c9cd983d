/** Adds the local IPs to a link of the node, such that only the agent uses them. */
import { familyOf } from '../../agent/base/address.ts';
import { NodensError } from '../../agent/base/errors.ts';
import type { Log } from '../log.ts';
import type { Plan } from '../plan/plan.ts';
import { CommandError, type Run } from './exec.ts';

/** Marks what init has added: the alias of a link, the label of an IPv4 address. */
const MARK = 'nodens';
const LOOPBACK = 'lo';
/** Link of a node-local-dns with the default name. */
const NODE_LOCAL_DNS_LINK = 'nodelocaldns';
const MAX_LABEL_CHARS = 15;

/** `type` is the counter of the failure. */
export class LinkError extends NodensError {
  readonly type: 'interface_check' | 'interface_add';

  constructor(type: LinkError['type'], cause: CommandError) {
    super('NODENS_LINK', cause.message, { cause });
    this.type = type;
  }
}

interface LinkAddress {
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly label?: string;
  readonly deprecated?: boolean;
}

interface LinkState {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly ifalias?: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info: readonly LinkAddress[];
}

/**
 * The local IPs of a plan on the link that the plan names. Where that link is missing, init makes a dummy link; `lo`
 * serves where the kernel has no dummy links (ip-link(8), ip-address(8)).
 */
export class Link {
  readonly #run: Run;
  readonly #log: Log;
  readonly #plan: Pick<Plan, 'interfaceName' | 'addresses'>;
  #loggedFallback = false;

  constructor(run: Run, log: Log, plan: Pick<Plan, 'interfaceName' | 'addresses'>) {
    this.#run = run;
    this.#log = log;
    this.#plan = plan;
  }

  /** Adds missing addresses; resolves to whether any was missing. Rejects with `LinkError`. */
  async ensure(): Promise<boolean> {
    const links = await as('interface_check', readLinks(this.#run));
    return as('interface_add', this.#ensureOn(links));
  }

  /** IPv4 addresses with our mark that are not of the plan. Rejects with `LinkError`. */
  async strays(): Promise<string[]> {
    const links = await as('interface_check', readLinks(this.#run));
    const marked = links.flatMap(({ ifname, addr_info }) =>
      addr_info.filter(({ label }) => label !== undefined && label === labelOn(ifname)),
    );
    return marked.map(({ local }) => local).filter((ip) => !this.#plan.addresses.includes(ip));
  }

  /** Removes those of `addresses` that nodens has added; resolves to lines of `ip`. Rejects with `LinkError`. */
  async remove(addresses: readonly string[]): Promise<string[]> {
    const removed: string[] = [];
    const links = await as('interface_check', readLinks(this.#run));
    const isOurs = ({ ifname, ifalias }: LinkState): boolean =>
      [this.#plan.interfaceName, LOOPBACK].includes(ifname) || ifalias === MARK;
    for (const link of links.filter(isOurs)) {
      const isGoing = (address: LinkAddress): boolean =>
        addresses.includes(address.local) && isOurAddress(address, link.ifname, addresses);
      for (const command of deletions(link, isGoing)) {
        await as('interface_add', this.#run('ip', command));
        removed.push(`ip ${command.join(' ')}`);
      }
    }
    return removed;
  }

  /** Lines of `ip` that `ensure` would run now. */
  async explain(): Promise<string[]> {
    const links = await as('interface_check', readLinks(this.#run));
    const name = this.#plan.interfaceName;
    const link = links.find(({ ifname }) => ifname === name);
    const create = link === undefined ? [`ip link add ${name} type dummy`] : [];
    const missing = this.#missing(link).flatMap((ip) => addArgs(ip, name).join(' '));
    return [...create, ...missing.map((args) => `ip ${args}`)];
  }

  async #ensureOn(links: readonly LinkState[]): Promise<boolean> {
    const name = this.#plan.interfaceName;
    let link = links.find(({ ifname }) => ifname === name);
    const created = link === undefined && (await this.#create(name));
    if (link === undefined && !created) link = links.find(({ ifname }) => ifname === LOOPBACK);
    const target = link?.ifname ?? name;
    if (created || link?.flags.includes('UP') === false)
      await this.#run('ip', ['link', 'set', 'dev', target, 'up']);
    const exposed = link === undefined || target === LOOPBACK ? [] : this.#exposed(link);
    for (const { local, prefixlen } of exposed)
      await this.#run('ip', addressDeletion(local, prefixlen, target));
    const missing = [...this.#missing(link), ...exposed.map(({ local }) => local)];
    for (const address of missing) await this.#add(address, target);
    return created || missing.length > 0;
  }

  /** False where the kernel has no dummy links: then init uses `lo`. */
  async #create(name: string): Promise<boolean> {
    try {
      await this.#run('ip', ['link', 'add', name, 'type', 'dummy']);
    } catch (error) {
      const unsupported = /Unknown device type|not supported/.test((error as CommandError).stderr);
      if (!(error instanceof CommandError && unsupported)) throw error;
      if (!this.#loggedFallback)
        this.#log.warn('kernel has no dummy links: putting the addresses on lo', {
          event: 'dummy-link',
          interface: name,
        });
      this.#loggedFallback = true;
      return false;
    }
    await this.#run('ip', ['link', 'set', 'dev', name, 'alias', MARK]);
    return true;
  }

  #missing(link: LinkState | undefined): string[] {
    const present = new Set(link?.addr_info.map(({ local }) => local));
    return this.#plan.addresses.filter((address) => !present.has(address));
  }

  /** Addresses of a node-local-dns that the kernel may select as source; on `lo` they belong to another program. */
  #exposed({ addr_info }: LinkState): LinkAddress[] {
    return addr_info.filter(
      ({ local, scope, deprecated }) =>
        this.#plan.addresses.includes(local) &&
        (familyOf(local) === 6 ? deprecated !== true : scope !== 'host'),
    );
  }

  async #add(address: string, link: string): Promise<void> {
    await this.#run('ip', addArgs(address, link));
    this.#log.info('address added', { address, interface: link });
  }
}

/**
 * Scope host keeps the kernel from selecting an IPv4 address as source on links without their own address. IPv6 has no
 * such scope: a preferred lifetime of 0 makes the address the last choice.
 */
function addArgs(address: string, link: string): string[] {
  if (familyOf(address) === 6)
    return ['addr', 'add', `${address}/128`, 'dev', link, 'nodad', 'preferred_lft', '0'];
  const label = labelOn(link);
  const mark = label === undefined ? [] : ['label', label];
  return ['addr', 'add', `${address}/32`, 'dev', link, 'scope', 'host', ...mark];
}

function labelOn(link: string): string | undefined {
  const label = `${link}:${MARK}`;
  return label.length <= MAX_LABEL_CHARS ? label : undefined;
}

async function readLinks(run: Run): Promise<LinkState[]> {
  return JSON.parse(await run('ip', ['-j', '-d', 'addr', 'show'])) as LinkState[];
}

async function as<T>(type: LinkError['type'], work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof CommandError ? new LinkError(type, error) : error;
  }
}

/**
 * Removes the links and addresses that nodens has added, and the dummy link of a node-local-dns. An IPv6 address has no
 * mark: it is removed if it is one of `addresses` and looks as `Link` adds them. Resolves to the commands, one line each.
 */
export async function removeLinks(
  run: Run,
  plan: Pick<Plan, 'interfaceName' | 'addresses'>,
): Promise<string[]> {
  const removed: string[] = [];
  for (const link of await as('interface_check', readLinks(run))) {
    const commands = isOurLink(link, plan.interfaceName)
      ? [['link', 'del', 'dev', link.ifname]]
      : deletions(link, (address) => isOurAddress(address, link.ifname, plan.addresses));
    for (const command of commands) {
      await run('ip', command);
      removed.push(`ip ${command.join(' ')}`);
    }
  }
  return removed;
}

/**
 * Arguments of `ip` that remove the link of a node-local-dns that is gone, or only the local IPs on it where another
 * program has created the link; none where init itself uses that link.
 */
export async function nodeLocalDnsLinkCommands(
  run: Run,
  { interfaceName, addresses }: Pick<Plan, 'interfaceName' | 'addresses'>,
): Promise<string[][]> {
  if (interfaceName === NODE_LOCAL_DNS_LINK) return [];
  const links = await as('interface_check', readLinks(run));
  const link = links.find(({ ifname }) => ifname === NODE_LOCAL_DNS_LINK);
  if (link === undefined) return [];
  return isOurLink(link, interfaceName)
    ? [['link', 'del', 'dev', link.ifname]]
    : deletions(link, ({ local }) => addresses.includes(local));
}

function deletions(link: LinkState, isGoing: (address: LinkAddress) => boolean): string[][] {
  return link.addr_info
    .filter(isGoing)
    .map(({ local, prefixlen }) => addressDeletion(local, prefixlen, link.ifname));
}

function isOurLink({ ifname, ifalias, linkinfo }: LinkState, wanted: string): boolean {
  if (linkinfo?.info_kind !== 'dummy') return false;
  return ifalias === MARK || ifname === NODE_LOCAL_DNS_LINK || ifname === wanted;
}

function isOurAddress(
  { local, prefixlen, scope, label, deprecated }: LinkAddress,
  link: string,
  addresses: readonly string[],
): boolean {
  const mark = labelOn(link);
  if (mark !== undefined && label === mark) return true;
  if (!addresses.includes(local)) return false;
  if (link === NODE_LOCAL_DNS_LINK) return true;
  if (familyOf(local) === 6) return prefixlen === 128 && deprecated === true;
  return mark === undefined && prefixlen === 32 && scope === 'host';
}

function addressDeletion(address: string, prefix: number, link: string): string[] {
  return ['addr', 'del', `${address}/${prefix}`, 'dev', link];
}
