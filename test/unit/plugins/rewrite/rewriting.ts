/** Runs a query through rules of `rewrite` and shows the query below and the answer. */
import assert from 'node:assert/strict';
import { encode, type Answer as PacketRecord, type RecordType } from 'dns-packet';
import { type TYPE, typeName } from '../../../../agent/dns/iana.ts';
import { nameToText } from '../../../../agent/dns/name.ts';
import { readReply } from '../../../../agent/dns/reply.ts';
import { setup } from '../../../../agent/plugins/rewrite/setup.ts';
import { type Answer, relayedAnswer } from '../../../../agent/query/answer.ts';
import type { InternalQuestion, Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { decoded, type QueryOptions, queryFor } from '../../../support/dns/queries.ts';
import { fakeServices } from '../../../support/services.ts';

const record = (line: string): PacketRecord => {
  const [name, ttl, type, ...rest] = line.split(' ') as [string, string, string, ...string[]];
  const [first = '', second = ''] = rest;
  const data =
    type === 'SRV'
      ? { port: Number(first), target: second }
      : type === 'MX'
        ? { preference: Number(first), exchange: second }
        : first;
  return { name, ttl: Number(ttl), type, data } as PacketRecord;
};

/** An upstream's answer to `question`. */
export function reply(question: string, lines: readonly string[] = [], rcode = 0): Answer {
  const [name, type] = question.split(' ') as [string, RecordType];
  const wire = encode({
    type: 'response',
    flags: rcode,
    questions: [{ name, type }],
    answers: lines.map(record),
  });
  const read = readReply(wire);
  assert.ok(read);
  return relayedAnswer(read, 'forward', fakeServices().clock.nowMs());
}

export const shown = (answer: Answer): string[] =>
  (decoded(answer).answers ?? []).map((found) => {
    assert.ok('ttl' in found && 'data' in found);
    const { data } = found as { data: unknown };
    const text = typeof data === 'string' ? data : Object.values(data as object).join(' ');
    return `${found.name} ${found.ttl} ${found.type} ${text}`;
  });

interface Ran {
  readonly answer: Answer;
  /** Queries to the plugins below: `name TYPE`. */
  readonly asked: string;
  readonly below: Query;
  readonly resolved: InternalQuestion[];
}

export async function run(
  rules: string,
  question: string,
  answerBelow: (asked: string) => Answer = (asked) => reply(asked),
  options: QueryOptions & { resolve?: (asked: string) => Answer } = {},
): Promise<Ran> {
  const resolved: InternalQuestion[] = [];
  const services = fakeServices({
    resolve: (wanted) => {
      resolved.push(wanted);
      const asked = `${nameToText(wanted.name)} ${typeName(wanted.type)}`;
      return Promise.resolve((options.resolve ?? reply)(asked));
    },
  });
  const { directive, block } = parseDirective(rules);
  const plugin = setup(directive, block, services);
  const [name, type] = question.split(' ') as [string, keyof typeof TYPE];
  let below: Query | undefined;
  const query = queryFor(name, type, options);
  const result = plugin.handle?.(query, (asked) => {
    below = asked;
    return answerBelow(`${asked.nameText} ${typeName(asked.type)}`);
  });
  const answer = (await result) as Answer;
  assert.ok(below !== undefined);
  const [asked] = decoded(answer).questions ?? [];
  assert.deepEqual(
    [asked?.name.toLowerCase(), asked?.type],
    [name.toLowerCase(), type],
    'the client gets its own question',
  );
  return { answer, asked: `${below.nameText} ${typeName(below.type)}`, below, resolved };
}
