/**
 * The table that marks queries to the local IPs while an agent is alive, and takes the mark off again behind the query
 * rules. Those ask for it, and are void at the moment in which the table goes.
 */
import { type Family, familyOf } from '../../agent/base/address.ts';
import { OWN_TABLE_PREFIX } from '../nft-list.ts';
import { hex, type Table, type TableChain, tableTag } from '../nft-table.ts';
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

type Step = (typeof STEPS)[number]['step'];

interface Place {
  readonly id: string;
  readonly family: Family;
  readonly address: string;
}

/** `id` is unique on the node: several agents may be alive, and one is enough. */
export function aliveTable(id: string, alive: AliveMark): Table {
  const chains = STEPS.flatMap(({ step, priority }) =>
    HOOKS.map((hook): TableChain => {
      const rules = placesOf(alive, step, hook).map((place) => ({
        id: place.id,
        match: `th dport ${alive.port} ${place.family === 4 ? 'ip' : 'ip6'} daddr ${place.address}`,
        action: actionOf(step, alive.mark),
      }));
      return { name: `${step}_${hook}`, type: 'filter', hook, priority, rules };
    }),
  );
  return { name: `${OWN_TABLE_PREFIX}alive_${id}`, chains };
}

/** Makes that table, owned by the socket that sends this. */
export function aliveBatch(id: string, alive: AliveMark): Buffer {
  const { name, chains } = aliveTable(id, alive);
  const tags = new Map(
    chains.flatMap(({ rules }) => rules).map((rule) => [rule.id, tableTag(rule)]),
  );
  const steps = STEPS.flatMap(({ step, priority }) =>
    HOOKS.flatMap((hook) => {
      const chain = `${step}_${hook}`;
      const bits = { clear: alive.mark, set: step === 'mark' ? alive.mark : 0 };
      const rules = placesOf(alive, step, hook).map(({ id: rule, family, address }) =>
        newMarkRule(name, {
          ...{ chain, family, address, port: alive.port },
          ...{ ...bits, comment: tags.get(rule) ?? '' },
        }),
      );
      return [newChain(name, { name: chain, hook, priority }), ...rules];
    }),
  );
  return batchOf([newOwnedTable(name), ...steps]);
}

function placesOf({ addresses }: AliveMark, step: Step, hook: string): Place[] {
  return addresses.map((address, i) => ({
    id: `${step}-alive-${hook}-${i}`,
    family: familyOf(address) ?? 4,
    address,
  }));
}

function actionOf(step: Step, mark: number): string {
  const change = step === 'mark' ? `| ${hex(mark)}` : `& ${hex(0xffff_ffff ^ mark)}`;
  return `meta mark set meta mark ${change}`;
}
