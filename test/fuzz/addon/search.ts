/** Searches the parts of the addon with libFuzzer. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasProgram, installPackages, isRoot } from '../../support/packages.ts';
import { keepFinding, keptSeeds, seedsName } from '../seeds.ts';
import { compile, hasHeaders, PARTS, type Part } from './build.ts';

/** clang, and its libFuzzer, of Debian's default version. */
const PACKAGES = ['clang', 'libclang-rt-14-dev'];

/** The reason why the addon cannot be searched here; undefined where it can. Installs clang if only that is missing. */
export function prepare(): string | undefined {
  if (!hasHeaders) return "Node's headers are not there";
  if (hasProgram('clang')) return undefined;
  if (!isRoot || !hasProgram('apt-get')) return 'clang is missing';
  try {
    installPackages(PACKAGES);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** Whether `seconds` of search found nothing. */
function searchOne(part: Part, seconds: number, seed: number): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-fuzz-'));
  try {
    const program = join(folder, 'search');
    compile(part, 'clang', program);
    keptSeeds(seedsName(part)).forEach((bytes, i) => {
      writeFileSync(join(folder, `seed-${i}`), bytes);
    });
    const flags = [`-max_total_time=${Math.ceil(seconds)}`, `-seed=${seed % 2 ** 31}`];
    const report = ['-print_final_stats=1', `-artifact_prefix=${folder}/found-`, '-max_len=4096'];
    const { status, stderr } = spawnSync(program, [...flags, ...report, folder], {
      encoding: 'utf8',
      maxBuffer: 2 ** 30,
    });
    const [, runs = '0'] = /number_of_executed_units: (\d+)/.exec(stderr) ?? [];
    const reached = [...stderr.matchAll(/ cov: (\d+)/g)].map(([, count]) => count);
    process.stdout.write(
      `# addon ${part}: ${runs} executions, code reached: ${reached[0]} edges by the seeds, ` +
        `${reached.at(-1)} at the end; ${status === 0 ? 0 : 1} findings\n`,
    );
    if (status === 0) return true;
    for (const file of readdirSync(folder).filter((name) => name.startsWith('found-')))
      process.stdout.write(`  ${keep(part, join(folder, file))}\n`);
    process.stdout.write(`${stderr.slice(-4_000)}\n`);
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function keep(part: Part, file: string): string {
  return keepFinding(seedsName(part), readFileSync(file), 'found by libFuzzer');
}

/** Whether `seconds` of search, all parts together, found nothing. */
export function searchAddon(seconds: number, seed: number): boolean {
  return PARTS.map((part) => searchOne(part, seconds / PARTS.length, seed)).every(Boolean);
}
