/**
 * Writes all tables of nodens in this network namespace, by nft and by netlink, and prints as JSON what nft shows of each,
 * and whether init reads from the kernel what nft prints.
 */
import { execFileSync } from 'node:child_process';
import { addressesIn } from '../../../init/firewall/backend.ts';
import { NftTables } from '../../../init/firewall/nft/backend.ts';
import { NftFallback } from '../../../init/firewall/nft/fallback.ts';
import { listTable, printTable, shapeInText, tableText } from '../../../init/firewall/nft/table.ts';
import { NftTcpAffinity } from '../../../init/firewall/nft/tcp-affinity.ts';
import { writeTables } from '../../../init/firewall/nft/write.ts';
import { realSystem } from '../../../init/node/system.ts';
import { allRules } from '../../../init/plan/desired-rules.ts';
import { planOf } from '../../../init/plan/plan.ts';

const rules = allRules(
  planOf({
    ...{ interfaceName: 'lo', port: 53, healthPort: 8080, fallbackMark: 0x1000 },
    probePorts: { first: 20_253, last: 20_260 },
    localIps: ['169.254.20.10', '10.96.0.10', 'fd00::10', 'fd00::11'],
    clusterIps: ['10.96.0.10', 'fd00::a'],
  }),
);
const backends = [
  new NftTables(realSystem, undefined),
  new NftFallback(realSystem),
  new NftTcpAffinity(realSystem, () => undefined),
];
const tables = backends.flatMap((backend) => backend.tables(rules));

function shown(): string {
  const text = execFileSync('nft', ['-s', 'list', 'ruleset'], { encoding: 'utf8' });
  return text
    .split(/^(?=table )/m)
    .sort()
    .join('');
}

const inOrder = (words: readonly string[]): string => [...new Set(words)].sort().join();

execFileSync('nft', ['-f', '-'], { input: tables.map(tableText).join('') });
const byNft = shown();
const wrong: string[] = [];
for (const { name } of tables) {
  const [printed = '', held = ''] = [
    await printTable(realSystem.run, name),
    await listTable(realSystem, name),
  ];
  const isSame =
    shapeInText(printed) === shapeInText(held) &&
    inOrder(addressesIn(printed)) === inOrder(addressesIn(held));
  if (!isSame) wrong.push(`${printed}\n${held}`);
}
execFileSync('nft', ['flush', 'ruleset']);
await writeTables(
  realSystem,
  tables.map((table) => ({ table })),
);
process.stdout.write(JSON.stringify({ byNft, byNetlink: shown(), wrong }));
