/** Queries are shown to as many as look, no faster than they read, and to no code otherwise. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PodSources } from '../../../agent/base/clients/pod-sources.ts';
import { DnsError } from '../../../agent/base/errors.ts';
import { RCODE } from '../../../agent/dns/iana.ts';
import { readQueryHead } from '../../../agent/dns/query-head.ts';
import type { ObservedLine, ObserveRequest } from '../../../agent/operator/protocol.ts';
import { matchesGlob } from '../../../agent/operator/watch/glob.ts';
import { observeCommand } from '../../../agent/operator/watch/observe-command.ts';
import { QueryWatch } from '../../../agent/operator/watch/query-watch.ts';
import { errorAnswer } from '../../../agent/query/error-answer.ts';
import type { Result } from '../../../agent/query/handler.ts';
import { clientAt, Query } from '../../../agent/query/query.ts';
import type { QueryObserver } from '../../../agent/server/dispatch.ts';
import { AttemptWatch } from '../../../agent/upstream/exchange/attempt-watch.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { FakeOutput } from '../../support/operator-output.ts';
import { queryWire } from '../../support/server/fixture.ts';

class Agent {
  readonly clock = new FakeClock();
  readonly dispatcher: { observer: QueryObserver | undefined } = { observer: undefined };
  readonly queries = new QueryWatch(this.dispatcher, this.clock);
  readonly attempts = new AttemptWatch();
  readonly pods = new PodSources();

  observe(request: Omit<ObserveRequest, 'command'>, out: FakeOutput): Promise<void> {
    return observeCommand(this, { command: 'observe', ...request }, out);
  }

  /** A query as a listener passes it on. */
  ask(name: string, result: (query: Query) => Result, client = '192.0.2.1'): Result {
    const wire = queryWire(name, 1);
    const query = new Query();
    readQueryHead(wire, wire.length, query.head);
    const from = clientAt(client, 5_353);
    query.receive(wire, wire.length, 'udp', query.server, this.clock.nowMs(), () => from);
    const { observer } = this.dispatcher;
    return observer === undefined ? result(query) : observer.follow(query, () => result(query));
  }
}

const refused = (query: Query): Result => errorAnswer(query, RCODE.REFUSED);
const namesOf = ({ lines }: FakeOutput): string[] =>
  lines.flatMap((line) => (line.line === 'query' ? [(line as ObservedLine).name] : []));

describe('observe', () => {
  it('takes a pod for a client, with all of its addresses', async () => {
    const agent = new Agent();
    const pod = {
      ...{ name: 'shop/web-0', addresses: ['10.0.0.7', 'fd00::7'] },
      ...{ isHostNetwork: false, search: undefined },
    };
    agent.pods.add({ at: () => pod, named: (name) => (name === 'shop/web-0' ? [pod] : []) });
    const out = new FakeOutput();
    const work = agent.observe({ client: 'shop/web-0' }, out);
    void agent.ask('a.test', refused, '10.0.0.7');
    void agent.ask('b.test', refused, '10.0.0.8');
    void agent.ask('c.test', refused, 'fd00::7');
    assert.deepEqual(namesOf(out), ['a.test.', 'c.test.']);
    out.depart();
    await work;
    await assert.rejects(agent.observe({ client: 'web-1' }, out), /nor a pod of this node/);
  });

  it('costs nothing before and after', async () => {
    const agent = new Agent();
    assert.equal(agent.dispatcher.observer, undefined);
    const outs = [new FakeOutput(), new FakeOutput()];
    const work = outs.map((out) => agent.observe({}, out));
    assert.equal(agent.queries.observers, 2);
    outs[0]?.depart();
    await settle();
    void agent.ask('a.test', refused);
    outs[1]?.depart();
    await Promise.all(work);
    assert.equal(agent.dispatcher.observer, undefined);
    assert.equal(agent.attempts.seen, undefined);
    assert.equal(agent.clock.pendingTimers, 0);
    assert.deepEqual(outs.map(namesOf), [[], ['a.test.']]);
  });

  it('counts what its reader does not take', async () => {
    const agent = new Agent();
    const out = new FakeOutput(3);
    const work = agent.observe({}, out);
    for (let i = 0; i < 10; i++) void agent.ask(`n${i}.test`, refused);
    assert.equal(out.lines.length, 3);
    await agent.clock.advance(1_000);
    assert.equal(out.lines.length, 3, 'there is no room for the count either');
    out.read();
    await agent.clock.advance(1_000);
    assert.deepEqual(out.lines.at(-1), { line: 'skipped', queries: 7 });
    out.depart();
    await work;
  });

  it('shows at most 1,000 queries a second', async () => {
    const agent = new Agent();
    const out = new FakeOutput();
    const work = agent.observe({}, out);
    for (let i = 0; i < 1_500; i++) void agent.ask('a.test', refused);
    await agent.clock.advance(1_000);
    void agent.ask('b.test', refused);
    assert.equal(namesOf(out).length, 1_001);
    assert.deepEqual(out.lines[1_000], { line: 'skipped', queries: 500 });
    out.depart();
    await work;
  });

  it('shows late answers and errors with their time, and passes both on', async () => {
    const agent = new Agent();
    const out = new FakeOutput();
    const work = agent.observe({ slowMs: 100 }, out);
    const { promise, reject } = Promise.withResolvers<never>();
    const result = agent.ask('late.test', () => promise);
    void agent.ask('quick.test', refused);
    await agent.clock.advance(150);
    reject(new DnsError(RCODE.SERVFAIL, 'down'));
    await assert.rejects(async () => await result, { rcode: RCODE.SERVFAIL });
    const [line] = out.lines as ObservedLine[];
    assert.deepEqual(
      [line?.name, line?.rcode, line?.from, line?.durationMs],
      ['late.test.', 'SERVFAIL', 'failure', 150],
    );
    assert.equal(out.lines.length, 1);
    out.depart();
    await work;
  });

  it('tells IPv6 clients of one network apart', async () => {
    const agent = new Agent();
    const out = new FakeOutput();
    const work = agent.observe({ client: '2001:DB8::0007' }, out);
    for (const client of ['2001:db8::7', '2001:db8::8', '192.0.2.7'])
      void agent.ask(`${client.length}.test`, refused, client);
    assert.deepEqual(
      out.lines.map((line) => (line as ObservedLine).client),
      ['2001:db8::7'],
    );
    out.depart();
    await work;
  });
});

describe('a pattern of names', () => {
  for (const [pattern, text, expected] of [
    ['a.test.', 'a.test.', true],
    ['*.test.', 'a.test.', true],
    ['*.test.', 'test.', false],
    ['*', '', true],
    ['a*b*c', 'a1b2b3c', true],
    ['a*b*c', 'a1c', false],
    ['', 'a', false],
  ] as const)
    it(`${pattern} ${expected ? 'is' : 'is not'} ${text}`, () => {
      assert.equal(matchesGlob(pattern, text), expected);
    });

  it('takes little time, whatever it is', () => {
    const startMs = performance.now();
    assert.equal(matchesGlob(`${'*a'.repeat(120)}b`, 'a'.repeat(255)), false);
    assert.ok(performance.now() - startMs < 1_000);
  });
});
