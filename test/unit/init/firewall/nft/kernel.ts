/** A plan, and a kernel that has its tables. */
import { nftComment } from '../../../../../init/firewall/nft/backend.ts';
import { allRules } from '../../../../../init/plan/desired-rules.ts';
import { planOf, type Rule } from '../../../../../init/plan/plan.ts';
import { type Call, failure, PLAN_BASICS, type Script } from '../../fake-system.ts';

export const rules = allRules(
  planOf({
    localIps: ['169.254.20.10', 'fd00::a'],
    ...PLAN_BASICS,
  }),
);

/** The output of `nft list` for a table with these rules. */
export function listing(table: string, list: readonly Rule[]): string {
  const hooks = Object.entries(Object.groupBy(list, (rule) => rule.hook));
  const chains = hooks.map(([hook, ofHook]) => {
    const lines = ofHook.map(
      (rule) => `\t\tudp dport 53 {\n\t\t 1.2.3.4 } comment "${nftComment(rule)}" # handle 7\n`,
    );
    const base = `\t\ttype filter hook ${hook} priority -300; policy accept;\n`;
    return `\tchain ${hook} { # handle 1\n${base}${lines.join('')}\t}\n\n`;
  });
  return `table inet ${table} { # handle 2\n${chains.join('')}}\n`;
}

export const absent = (command: string) => failure(command, 'Error: No such file or directory\n');

/** A kernel that has the rules of `held`, and all of `rules` after a write. */
export function kernel(held: { query: readonly Rule[]; standing: readonly Rule[] }): Script {
  let state = held;
  return (command) => {
    if (command === 'nft -f -') state = rules;
    for (const part of ['query', 'standing'] as const)
      if (command === `nft -a -y -t list table inet nodens_${part}_main`)
        return state[part].length === 0
          ? absent(command)
          : listing(`nodens_${part}_main`, state[part]);
    return undefined;
  };
}

export function writes(calls: readonly Call[]): string[] {
  return calls.filter(({ command }) => command === 'nft -f -').map(({ input }) => input);
}
