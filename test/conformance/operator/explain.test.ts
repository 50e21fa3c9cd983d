/** `nodens explain`, as built: the questions of a lookup, what is cached, and where the rest would go. Sends nothing. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { TYPE } from '../../../agent/dns/iana.ts';
import { OperatedAgent } from '../../support/operator.ts';

const agent = new OperatedAgent({
  cache: 'nxdomain_cut test',
  more: 'hosts {\n192.0.2.1 h.test\nfallthrough\n}',
});
const { upstream } = agent;

before(async () => {
  upstream.records.set('web.test. A', ['web.test. 300 IN A 192.0.2.7']);
  await agent.start();
});
after(() => agent.remove());

interface Question {
  readonly name: string;
  readonly type: string;
  readonly verdict: string;
  readonly upstreams: readonly { readonly to: string; readonly state?: string }[];
}

async function explained(...words: readonly string[]) {
  const [line] = await agent.json('explain', ...words);
  return line as {
    readonly questions: readonly Question[];
    readonly isEndKnown: boolean;
    readonly search: { readonly domains: readonly string[]; readonly from: string };
  };
}

describe('explain', () => {
  it('lists the search list, then the name, for A and AAAA, and sends no query', async () => {
    upstream.asked.length = 0;
    const { questions, search, isEndKnown } = await explained('web.test', '-namespace', 'shop');
    assert.equal(search.from, 'assumed');
    assert.equal(search.domains[0], 'shop.svc.cluster.local.');
    assert.equal(questions.length, 2 * (search.domains.length + 1));
    assert.deepEqual(
      [questions[0]?.name, questions[0]?.type],
      ['web.test.shop.svc.cluster.local.', 'A'],
    );
    assert.deepEqual([questions.at(-1)?.name, questions.at(-1)?.type], ['web.test.', 'AAAA']);
    assert.ok(questions.every(({ verdict }) => verdict === 'miss'));
    assert.match(questions[0]?.upstreams[0]?.to ?? '', /^127\.0\.0\.1:\d+$/);
    assert.equal(questions[0]?.upstreams[0]?.state, 'up');
    assert.equal(isEndKnown, false);
    assert.deepEqual(upstream.asked, []);
  });

  it('knows what the cache has, and where the walk ends', async () => {
    await agent.query('gone.test.', TYPE.A);
    await agent.query('web.test.', TYPE.A);
    const denied = await explained('x.gone.test.');
    assert.deepEqual(
      denied.questions.map(({ verdict }) => verdict),
      ['cut', 'cut'],
    );
    const whole = await explained('web.test.');
    assert.deepEqual(
      whole.questions.map(({ verdict }) => verdict),
      ['hit', 'miss'],
    );
    assert.equal(whole.isEndKnown, true);
    const dots = await explained('10.0.0.7', 'a.b.c.d.e.gone.test');
    assert.equal(dots.questions[0]?.name, 'a.b.c.d.e.gone.test.', 'enough dots: as it is at first');
  });

  it('prints a table, and refuses what it does not know', async () => {
    const { code, out } = await agent.run('explain', '10.0.0.7', 'web.test.');
    assert.equal(code, 0);
    assert.match(out, /^client {3}10\.0\.0\.7$/m);
    assert.match(out, /^1 {2}web\.test\. A +hit, TTL \d+[ms0-9]* +block \.: hosts, forward 127/m);
    assert.match(out, /^2 questions: 1 answered at once, 1 for/m);
    const pod = await agent.run('explain', 'shop/web-0');
    assert.equal(pod.code, 2);
    assert.match(pod.err, /no pod shop\/web-0 of this node is known \(autopath @node/);
    assert.equal((await agent.run('explain')).code, 2);
    assert.equal((await agent.run('explain', 'bad..name')).code, 2);
  });
});
