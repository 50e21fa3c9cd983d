/**
 * `npm run fuzz`: searches each reader of foreign input for inputs that break it, led by the code that they reach. What is
 * found is kept in `seeds/`, where every test runs it.
 */
import { parseArgs } from 'node:util';
import { Search, type SearchOptions, type Target } from './loop.ts';
import { keepFinding } from './seeds.ts';
import { TARGETS } from './targets/index.ts';
import { Watchdog } from './watchdog.ts';

const CPU_SECONDS = 600;
const NAMES = [...TARGETS.keys()];

const HELP = `npm run fuzz -- [options] [TARGET …]

  --seconds N   CPU seconds, all targets together (default ${CPU_SECONDS})
  --seed N      another search than the last one (default: by the clock)
  --help

targets (all, unless some are named): ${NAMES.join(' ')}
`;

/** Whether nothing was found. */
function searchOne(name: string, target: Target, options: SearchOptions): boolean {
  const { executions, seedBytes, bytes, corpus, findings } = new Search(target, options).search();
  process.stdout.write(
    `# ${name}: ${executions} executions, ${corpus} inputs kept, code reached: ` +
      `${seedBytes} bytes by the seeds, ${bytes} in the end; ${findings.length} findings\n`,
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
  const targets = chosen.flatMap((name) => TARGETS.get(name) ?? []);
  const isGood = targets.length === chosen.length && seconds > 0 && Number.isInteger(seed);
  if (values.help || !isGood) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  process.stdout.write(`seed ${seed}\n`);
  const watchdog = new Watchdog();
  const options = {
    ...{ seed, cpuSeconds: seconds / chosen.length },
    onInput: (input: Buffer) => watchdog.note(input),
  };
  const results = targets.map((target, i) => searchOne(chosen[i] ?? '', target, options));
  await watchdog.end();
  return results.every(Boolean) ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  process.exitCode = 2;
}
