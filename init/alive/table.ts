/**
 * The table that marks DNS queries while an agent is alive. Query rules that ask for the mark are void at the moment in
 * which the table goes.
 */
import { OWN_TABLE_PREFIX } from '../nft-list.ts';
import { hex, type Table, tableTag } from '../nft-table.ts';
import { batchOf, newChain, newMarkRule, newOwnedTable } from './netlink.ts';

/** Before the query rules (-300) and what they ask for besides (-301). */
const MARK_PRIORITY = -302;
const HOOKS = ['prerouting', 'output'] as const;

export interface AliveMark {
  readonly port: number;
  /** One bit of the packet's mark, which `NftFlows` takes off again. */
  readonly mark: number;
}

/** `id` is unique on the node: several agents may be alive, and one is enough. */
export function aliveTable(id: string, { port, mark }: AliveMark): Table {
  const chains = HOOKS.map((hook) => ({
    name: hook,
    type: 'filter' as const,
    hook,
    priority: MARK_PRIORITY,
    rules: [
      {
        id: `alive-${hook}`,
        match: `th dport ${port}`,
        action: `meta mark set meta mark | ${hex(mark)}`,
      },
    ],
  }));
  return { name: `${OWN_TABLE_PREFIX}alive_${id}`, chains };
}

/** Makes that table, owned by the socket that sends this. */
export function aliveBatch(id: string, mark: AliveMark): Buffer {
  const { name, chains } = aliveTable(id, mark);
  const rules = chains.flatMap((chain) =>
    chain.rules.map((rule) =>
      newMarkRule(name, { ...mark, chain: chain.name, comment: tableTag(rule) }),
    ),
  );
  return batchOf([
    newOwnedTable(name),
    ...HOOKS.map((hook) => newChain(name, { name: hook, hook, priority: MARK_PRIORITY })),
    ...rules,
  ]);
}
