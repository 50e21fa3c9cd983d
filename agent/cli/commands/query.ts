/** `nodens query`: asks the running agent through its real chain, and prints like dig. */
import { UsageError } from '../../base/errors.ts';
import { milliseconds } from '../../base/text/amounts.ts';
import { TYPE } from '../../dns/iana.ts';
import type { AnswerLine, TraceStep } from '../../operator/protocol.ts';
import { type Arguments, maxWords, runCommand, typeArgument } from './arguments.ts';
import { ask, UnreachableError } from './asking.ts';
import { withoutLine } from './cache.ts';
import { digText, readMessage } from './message.ts';
import { print, printJson } from './print.ts';

/** Resolves to the exit code (see the help text). Throws UsageError. */
export function queryCommand(argv: readonly string[]): Promise<number> {
  return runCommand(argv, 'query', query);
}

async function query({ words, values, isJson, paths }: Arguments): Promise<number> {
  maxWords(words, 2);
  const [name, type] = words;
  if (name === undefined) throw new UsageError('query needs a name');
  const isOn = (flag: string): boolean => values[flag] === 'true';
  const lines = ask(
    {
      ...{ command: 'query', name, type: typeArgument(type) ?? TYPE.A },
      client: values.client ?? '127.0.0.1',
      ...{ dnssecOk: isOn('dnssec'), checkingDisabled: isOn('cd'), isTraced: isOn('trace') },
      transport: isOn('tcp') ? 'tcp' : 'udp',
      listener: values.listener,
    },
    paths,
  );
  const steps: TraceStep[] = [];
  for await (const line of lines) {
    if (line.line === 'step') steps.push(line);
    if (line.line !== 'answer') continue;
    await (isJson ? printJson(asJson(line, steps)) : print(asText(line, steps)));
    return line.wire === '' ? 1 : 0;
  }
  throw new UnreachableError('the agent sent no answer');
}

function asJson(answer: AnswerLine, steps: readonly TraceStep[]): object {
  const message = answer.wire === '' ? undefined : readMessage(Buffer.from(answer.wire, 'base64'));
  const traced = steps.length === 0 ? {} : { steps: steps.map(withoutLine) };
  return { ...withoutLine(answer), message, ...traced };
}

function asText(answer: AnswerLine, steps: readonly TraceStep[]): string {
  const width = Math.max(0, ...steps.map(({ step }) => step.length));
  const trace = steps.map(
    ({ atMs, step, text }) =>
      `;; ${milliseconds(atMs).padStart(8)}  ${step.padEnd(width)}  ${text}\n`,
  );
  const wire = Buffer.from(answer.wire, 'base64');
  const body =
    wire.length === 0 ? ';; no response: the agent drops this query\n' : digText(readMessage(wire));
  const from = `${answer.from}${answer.plugin === '' ? '' : `, plugin ${answer.plugin}`}`;
  return [
    ...(trace.length === 0 ? [] : [...trace, '\n']),
    body,
    '\n',
    `;; Query time: ${milliseconds(answer.durationMs)}\n`,
    `;; SERVER: ${answer.listener} (inside the agent)\n`,
    `;; FROM: ${from}\n`,
    `;; MSG SIZE  rcvd: ${wire.length}\n`,
  ].join('');
}
