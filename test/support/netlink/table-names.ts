/** Prints the names of all nft tables of this network namespace. nft reads every rule for that, which takes a minute. */
import { realSystem } from '../../../init/node/system.ts';

const { nfTables } = realSystem;
if (nfTables === undefined) throw new Error('the addon is not built');
for (const { table } of await nfTables.tables()) process.stdout.write(`${table}\n`);
