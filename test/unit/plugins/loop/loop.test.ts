import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DnsError, messageOf } from '../../../../agent/base/errors.ts';
import { buildQuery } from '../../../../agent/dns/build.ts';
import { FLAG } from '../../../../agent/dns/header.ts';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../../agent/dns/name.ts';
import { readQueryHead } from '../../../../agent/dns/query-head.ts';
import { setup } from '../../../../agent/plugins/loop/setup.ts';
import { Answer } from '../../../../agent/query/answer.ts';
import type { Handler, Result } from '../../../../agent/query/handler.ts';
import type { Plugin } from '../../../../agent/query/plugin.ts';
import { clientAt, Query } from '../../../../agent/query/query.ts';
import { type FakeServices, fakeServices, TEST_BLOCK } from '../../../support/services.ts';

const PLACE = { file: 'Corefile', line: 1 };
const WORD = { text: 'loop', place: PLACE, quoted: false };
const DIRECTIVE = {
  name: 'loop',
  place: PLACE,
  uses: [{ name: WORD, args: [], body: undefined }],
};
const BLOCK = { keys: [], directives: [DIRECTIVE], place: PLACE };
const ANSWER = new Answer({
  wire: Buffer.alloc(12),
  ttlOffsets: [],
  rcode: 0,
  plugin: 'forward',
});

interface Network {
  readonly plugin: Plugin;
  readonly services: FakeServices;
  /** Queries that passed loop towards the upstream. */
  readonly sent: string[];
  upstream: 'answers' | 'loops' | 'fails';
  ask(name: string): Result;
}

/** A block with loop whose upstream is scripted; `resolve` calls the plugin directly. */
function network(shared: Partial<FakeServices> = {}): Network {
  let seed = 0;
  const { clock, metrics } = { ...fakeServices(), ...shared };
  const services = fakeServices({
    clock,
    metrics,
    random: () => (++seed % 97) / 97,
    block: { ...TEST_BLOCK, zones: ['example.org.'] },
    resolve: async (question) => {
      try {
        return (await plugin.handle?.(Query.internal(question, 0), forward)) ?? ANSWER;
      } catch (error) {
        assert.ok(error instanceof DnsError);
        return ANSWER.with({ rcode: error.rcode, extended: error.extended });
      }
    },
  });
  const plugin = setup(DIRECTIVE, BLOCK, services);
  const forward: Handler = (query) => {
    made.sent.push(nameToText(query.name));
    if (made.upstream === 'fails')
      throw new DnsError(RCODE.SERVFAIL, 'dead', { code: 23, text: 'refused' });
    if (made.upstream === 'loops') return plugin.handle?.(received(query.name), forward) ?? ANSWER;
    return ANSWER;
  };
  const made: Network = {
    plugin,
    services,
    sent: [],
    upstream: 'answers',
    ask: (name) => plugin.handle?.(received(nameFromText(name)), forward) ?? ANSWER,
  };
  return made;
}

/** The same question as it arrives from the network. */
function received(name: Uint8Array): Query {
  const wire = buildQuery({
    id: 1,
    flags: FLAG.RD,
    name: name.slice(),
    type: TYPE.HINFO,
    class: 1,
    dnssecOk: false,
    udpSizeBytes: undefined,
  });
  const query = new Query();
  readQueryHead(wire, wire.length, query.head);
  query.receive(wire, wire.length, 'udp', { index: 0, label: '' }, 0, () =>
    clientAt('127.0.0.1', 1),
  );
  return query;
}

const detected = ({ services }: Network): number =>
  services.metrics.value('nodens_loop_detected', { zone: 'example.org.' });

test('a block that does not loop is checked once, under a random name, and not again', async () => {
  const made = network();
  made.plugin.start?.();
  await made.services.clock.advance(120_000);
  assert.equal(made.sent.length, 1);
  assert.match(made.sent[0] as string, /^\d+\.\d+\.example\.org\.$/);
  assert.equal(detected(made), 0);
  assert.equal(made.ask('www.example.org.'), ANSWER);
  assert.equal(made.services.clock.pendingTimers, 0);
});

test('a loop quarantines the block with a reason, logs once, and is lifted when the loop is gone', async () => {
  const made = network();
  made.upstream = 'loops';
  made.plugin.start?.();
  await made.services.clock.advance(250);
  assert.equal(detected(made), 1);
  assert.throws(
    () => made.ask('www.example.org.'),
    (error) => {
      assert.ok(error instanceof DnsError);
      assert.equal(error.rcode, RCODE.SERVFAIL);
      assert.match(error.extended?.text ?? '', /forwarding loop: queries for example\.org\./);
      return true;
    },
  );
  await made.services.clock.advance(95_000);
  assert.equal(detected(made), 1);
  const errors = made.services.log.records.filter(({ level }) => level === 'error');
  assert.equal(errors.length, 1);
  made.upstream = 'answers';
  await made.services.clock.advance(30_000);
  assert.equal(detected(made), 0);
  assert.equal(made.ask('www.example.org.'), ANSWER);
  assert.match(made.services.log.records.at(-1)?.message ?? '', /is gone/);
});

test('the name sent upstream is not the one that the agent asks itself', async () => {
  const made = network();
  const asked: string[] = [];
  const { resolve } = made.services;
  Object.assign(made.services, {
    resolve: (question: Parameters<typeof resolve>[0]) => {
      asked.push(nameToText(question.name));
      return resolve(question);
    },
  });
  made.plugin.start?.();
  await made.services.clock.advance(250);
  assert.equal(asked.length, 1);
  assert.notEqual(asked[0], made.sent[0]);
});

test('while no upstream answers the check is repeated, for half a minute', async () => {
  const made = network();
  made.upstream = 'fails';
  made.plugin.start?.();
  await made.services.clock.advance(10_500);
  assert.equal(made.sent.length, 11);
  assert.equal(made.services.metrics.value('nodens_loop_detected'), 0);
  await made.services.clock.advance(100_000);
  assert.ok(made.sent.length <= 32, String(made.sent.length));
  assert.match(
    made.services.log.records.at(-1)?.message ?? '',
    /no upstream answered the loop check of example\.org\.: refused/,
  );
  assert.equal(detected(made), 0);
});

test('stop ends the checks and the quarantine of a replaced configuration', async () => {
  const made = network();
  made.upstream = 'loops';
  made.plugin.start?.();
  await made.services.clock.advance(250);
  made.plugin.stop?.();
  assert.equal(detected(made), 0);
  assert.equal(made.services.clock.pendingTimers, 0);
});

test('a configuration that stops late does not hide the result of the next one', async () => {
  const old = network();
  old.plugin.start?.();
  await old.services.clock.advance(250);
  const made = network(old.services);
  made.upstream = 'loops';
  made.plugin.start?.();
  await made.services.clock.advance(250);
  old.plugin.stop?.();
  assert.equal(detected(made), 1);
});

test('arguments are refused', () => {
  const uses = [{ name: WORD, args: [WORD], body: undefined }];
  assert.throws(
    () => setup({ ...DIRECTIVE, uses }, BLOCK, fakeServices()),
    (error) => /Corefile:1: .*loop/.test(messageOf(error)),
  );
});
