/**
 * The table that marks queries to the local IPs while an agent is alive, and takes the mark off again behind the query
 * rules. Those ask for it, and are void at the moment in which the table goes.
 */
import { type Family, familyOf } from '../../agent/base/address.ts';
import { OWN_TABLE_PREFIX } from '../firewall/nft/list.ts';
import { hex, type Table, type TableRule, tableComment } from '../firewall/nft/table.ts';
import { batchOf, newChain, newMarkRule, newOwnedTable } from './netlink.ts';

export interface AliveMark {
  readonly addresses: readonly string[];
  readonly port: number;
  /** One bit of the packet's mark. Whoever had set it before loses it. */
  readonly mark: number;
}

const HOOKS = ['prerouting', 'output'] as const;

/** Before the query rules (-300) and what they ask for besides (-301); behind them, before anybody else at -250. */
const STEPS = [
  { step: 'mark', priority: -302 },
  { step: 'unmark', priority: -290 },
] as const;

/** A rule as people are shown it, and what of it the kernel is told. */
interface AliveRule extends TableRule {
  readonly family: Family;
  readonly address: string;
  /** What the bit becomes. */
  readonly set: number;
}

/** `id` is unique on the node: several agents may be alive, and one is enough. */
export function aliveTable(id: string, alive: AliveMark): Table {
  return { name: nameOf(id), chains: chainsOf(alive) };
}

/** Makes that table, owned by the socket that sends this. */
export function aliveBatch(id: string, alive: AliveMark): Buffer {
  const name = nameOf(id);
  const { port, mark } = alive;
  const steps = chainsOf(alive).flatMap((chain) => [
    newChain(name, chain),
    ...chain.rules.map((rule) =>
      newMarkRule(name, {
        ...{ chain: chain.name, family: rule.family, address: rule.address, port },
        ...{ clear: mark, set: rule.set, comment: tableComment(rule) },
      }),
    ),
  ]);
  return batchOf([newOwnedTable(name), ...steps]);
}

function nameOf(id: string): string {
  return `${OWN_TABLE_PREFIX}alive_${id}`;
}

function chainsOf({ addresses, port, mark }: AliveMark) {
  return STEPS.flatMap(({ step, priority }) =>
    HOOKS.map((hook) => {
      const [set, change] =
        step === 'mark' ? [mark, `| ${hex(mark)}`] : [0, `& ${hex(0xffff_ffff ^ mark)}`];
      const rules = addresses.map((address, i): AliveRule => {
        const family = familyOf(address) ?? 4;
        const match = `th dport ${port} ${family === 4 ? 'ip' : 'ip6'} daddr ${address}`;
        const action = `meta mark set meta mark ${change}`;
        return { id: `${step}-alive-${hook}-${i}`, match, action, family, address, set };
      });
      return { name: `${step}_${hook}`, type: 'filter' as const, hook, priority, rules };
    }),
  );
}
