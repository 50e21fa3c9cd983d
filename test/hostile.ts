/**
 * `npm run hostile`: every attack of `test/hostile` within memory limits of 96, 128 and 192 MiB and without one, each
 * longer than in `npm test`; at the end a table of their measurements.
 */
import { parseArgs } from 'node:util';
import { MemoryGroup } from './support/netns/memory-group.ts';
import { runFiles } from './support/run-files.ts';

const SECONDS = 10;
const LIMITS = '96,128,192,none';

const HELP = `npm run hostile -- [options]

  --seconds N     how long each attack lasts (default ${SECONDS}; npm test: 1 or a few)
  --limits LIST   memory limits, MiB, or "none" (default ${LIMITS})
  --help
`;

async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seconds: { type: 'string', default: `${SECONDS}` },
      limits: { type: 'string', default: LIMITS },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const isGoodList = values.limits.split(',').every((limit) => /^(none|[1-9]\d*)$/.test(limit));
  if (values.help || !isGoodList || !(Number(values.seconds) > 0)) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  const env = { NODENS_HOSTILE_LIMITS: values.limits, NODENS_HOSTILE_SECONDS: values.seconds };
  const { isGood, seconds, measured } = await runFiles(['hostile/*.test.ts'], env);
  process.stdout.write(`\n${measured.join('\n')}\n`);
  if (!MemoryGroup.isPossible)
    process.stdout.write('left out: memory limits (this machine allows no test to set one)\n');
  process.stdout.write(`${isGood ? 'ok' : 'FAILED'} in ${seconds.toFixed(0)} s\n`);
  return isGood ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  process.exitCode = 2;
}
