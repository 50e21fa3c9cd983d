/**
 * `npm run fuzz`: searches each reader of foreign input for inputs that break it, guided by code
 * coverage. Findings are kept in `seeds/`, where every test runs them. libFuzzer searches the compiled part, with sanitizers.
 */
import { parseArgs } from 'node:util';
import { prepare, searchAddon } from './addon/search.ts';
import { Search, type SearchOptions, type Target } from './loop.ts';
import { keepFinding } from './seeds.ts';
import { TARGETS } from './targets/index.ts';
import { Watchdog } from './watchdog.ts';

const CPU_SECONDS = 600;
const ADDON = 'addon';
const NAMES = [...TARGETS.keys(), ADDON];

const HELP = `npm run fuzz -- [options] [TARGET …]

  --seconds N   CPU seconds, all targets together (default ${CPU_SECONDS})
  --seed N      another search than the last one (default: by the clock)
  --help

targets (all, unless some are named): ${NAMES.join(' ')}
`;

/** Whether there was no finding. */
function searchOne(name: string, target: Target, options: SearchOptions): boolean {
  const { executions, seedBytes, bytes, corpus, findings } = new Search(target, options).search();
  process.stdout.write(
    `# ${name}: ${executions} executions, ${corpus} inputs kept, code reached: ` +
      `${seedBytes} bytes by the seeds, ${bytes} at the end; ${findings.length} findings\n`,
  );
  for (const { input, error } of findings) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const path = keepFinding(name, input, reason.split('\n')[0] ?? '');
    process.stdout.write(`  ${path}\n  ${reason.replaceAll('\n', '\n  ')}\n`);
  }
  return findings.length === 0;
}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: `${CPU_SECONDS}` },
      seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const chosen = positionals.length > 0 ? positionals : NAMES;
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  const isGood = chosen.every((name) => NAMES.includes(name)) && seconds > 0;
  if (values.help || !isGood || !Number.isInteger(seed)) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  process.stdout.write(`seed ${seed}\n`);
  const cpuSeconds = seconds / chosen.length;
  const watchdog = new Watchdog();
  const onInput = (input: Buffer): void => watchdog.note(input);
  const results = chosen.map((name) => {
    const target = TARGETS.get(name);
    return target === undefined || searchOne(name, target, { seed, cpuSeconds, onInput });
  });
  await watchdog.end();
  if (chosen.includes(ADDON)) results.push(searchCompiled(cpuSeconds, seed));
  return results.every(Boolean) ? 0 : 1;
}

function searchCompiled(seconds: number, seed: number): boolean {
  const reason = prepare();
  if (reason === undefined) return searchAddon(seconds, seed);
  process.stdout.write(`left out: ${ADDON} (${reason})\n`);
  return true;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  process.exitCode = 2;
}
