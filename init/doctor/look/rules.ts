/**
 * Reads rules, each by the program that wrote them: an nft that is not the newest shows iptables' rules without their
 * comments, which say whose they are. Changes nothing.
 */
import { CommandError } from '../../node/exec.ts';
import type { System } from '../../node/system.ts';
import type { Rules } from '../facts.ts';

/** Tables that iptables may have. */
const IPTABLES_TABLE = /^(ip6?) (?:raw|mangle|nat|filter|security)$/;
const SAVE = { ip: 'iptables-nft-save', ip6: 'ip6tables-nft-save' } as const;
const LEGACY = [
  ['/proc/net/ip_tables_names', 'iptables-legacy-save'],
  ['/proc/net/ip6_tables_names', 'ip6tables-legacy-save'],
] as const;

/** Rejects with CommandError where a program may not look. */
export async function readRules(system: System): Promise<Rules> {
  const tables = tablesIn(await system.run('nft', ['list', 'tables']));
  const ofNft = new Set(tables);
  let iptables = '';
  for (const family of ['ip', 'ip6'] as const) {
    const mayBe = tables.filter((table) => IPTABLES_TABLE.exec(table)?.[1] === family);
    if (mayBe.length === 0) continue;
    const saved = await savedBy(system, SAVE[family]);
    for (const table of shownIn(saved)) ofNft.delete(`${family} ${table}`);
    iptables += saved;
  }
  const nft: string[] = [];
  for (const table of ofNft) nft.push(await listed(system, table));
  return { nft: nft.join(''), iptables, legacy: await readLegacy(system) };
}

/** `table inet nodens_query_1` as `inet nodens_query_1`. */
function tablesIn(list: string): string[] {
  return [...list.matchAll(/^table (\S+ \S+)$/gm)].map((match) => match[1] as string);
}

/** Empty where iptables is not installed: then nft says what it can. */
async function savedBy(system: System, program: string): Promise<string> {
  try {
    return withNewline(await system.run(program, []));
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === undefined && !error.isKilled) return '';
    throw error;
  }
}

/** Tables that are there, but for those that are not, or not only, iptables'. */
function shownIn(saved: string): string[] {
  const odd = [...saved.matchAll(/^# Table `(\w+)'.* use 'nft' tool/gm)].map((match) => match[1]);
  return [...saved.matchAll(/^\*(\w+)$/gm)]
    .map((match) => match[1] as string)
    .filter((table) => !odd.includes(table));
}

/** Tables come and go with the processes that own them. */
async function listed(system: System, table: string): Promise<string> {
  try {
    return withNewline(await system.run('nft', ['list', 'table', ...table.split(' ')]));
  } catch (error) {
    if (error instanceof CommandError && error.stderr.includes('No such file or directory'))
      return '';
    throw error;
  }
}

/** `iptables-legacy-save` without a table's name reads only tables that exist: naming one would create it. */
async function readLegacy(system: System): Promise<string> {
  let legacy = '';
  for (const [names, program] of LEGACY) {
    const tables = await system.read(names);
    if (tables !== undefined && tables.trim() !== '')
      legacy += withNewline(await system.run(program, []));
  }
  return legacy;
}

function withNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
