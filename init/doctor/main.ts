/** `nodens doctor`: gathers, judges, prints. */
import { systemClock } from '../../agent/base/clock.ts';
import { commandHelp } from '../../agent/base/commands/table.ts';
import { UsageError } from '../../agent/base/errors.ts';
import { realSystem } from '../node/system.ts';
import { makeAsk } from './ask.ts';
import { examine } from './checks.ts';
import { gather } from './gather.ts';
import { doctorOptionsFrom, USAGE } from './options.ts';
import { exitCodeOf, jsonOf, screen } from './report.ts';

/** Resolves to the exit code: 0 all is well, 1 something is odd or was not seen, 2 broken or wrong usage. */
export async function doctor(argv: readonly string[]): Promise<number> {
  if (argv.some((word) => /^--?h(elp)?$/.test(word))) {
    process.stdout.write(commandHelp('doctor'));
    return 0;
  }
  try {
    const options = doctorOptionsFrom(argv, process.env);
    const facts = await gather(options, realSystem, makeAsk(systemClock));
    const findings = examine(facts);
    const text = options.isJson ? jsonOf(findings, facts) : screen(findings);
    process.stdout.write(`${text}\n`);
    return exitCodeOf(findings);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`nodens doctor: ${error.message}\n${USAGE}\n`);
    return 2;
  }
}
