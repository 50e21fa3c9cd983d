/** `nodens cache`, as built: what is cached is shown, and what is flushed stays away, after a restart as well. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { OperatedAgent } from '../../support/operator.ts';

const A = 1;
const AAAA = 28;
const HTTPS = 65;

const agent = new OperatedAgent({ cache: 'serve_stale 1h\n servfail 1m\n nxdomain_cut test' });
const { upstream } = agent;

const asked = (name: string, type: number): Promise<Buffer> => agent.query(name, type);

before(async () => {
  upstream.records.set('web.test. A', ['web.test. 300 IN A 192.0.2.7']);
  upstream.records.set('web.test. AAAA', ['web.test. 300 IN AAAA 2001:db8::7']);
  upstream.records.set('a.web.test. A', ['a.web.test. 300 IN A 192.0.2.8']);
  upstream.records.set('web.test. HTTPS', ['web.test. 300 IN HTTPS 1 . alpn=h2,h3 port=8443']);
  await agent.start();
});
after(() => agent.remove());

/** Everything that the tests look at. */
async function fill(): Promise<void> {
  for (const type of [A, AAAA, HTTPS]) await asked('web.test', type);
  await asked('a.web.test', A);
  await asked('gone.test', A);
  await asked('broken.test', A);
}

describe('get', () => {
  before(fill);

  it('shows every type of a name, with its records and times', async () => {
    const { code, out, err } = await agent.run('cache', 'get', 'WEB.test');
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assert.match(
      out,
      /^web\.test\. A: fresh answer NOERROR, TTL (5m00s|4m\d\ds), of use in an outage for 1h0[45]m, age \d+s$/m,
    );
    assert.match(out, /^ {2}web\.test\.\t(300|2\d\d)\tIN\tA\t192\.0\.2\.7$/m);
    assert.match(out, /^ {2}web\.test\.\t(300|2\d\d)\tIN\tAAAA\t2001:db8::7$/m);
    assert.match(out, /IN\tHTTPS\t1 \. alpn=h2,h3 port=8443$/m);
    assert.doesNotMatch(out, /a\.web\.test/);
  });

  it('takes a type', async () => {
    const lines = await agent.json('cache', 'get', 'web.test', 'aaaa');
    assert.deepEqual(
      lines.map(({ name, type, kind, state }) => [name, type, kind, state]),
      [['web.test.', 'AAAA', 'answer', 'fresh']],
    );
  });

  it('shows denials, those of names below, and failures', async () => {
    const kinds = async (name: string): Promise<unknown[]> =>
      (await agent.json('cache', 'get', name)).map(({ kind }) => kind).sort();
    assert.deepEqual(await kinds('gone.test'), ['cut', 'denial']);
    assert.deepEqual(await kinds('broken.test'), ['failure']);
  });

  it('is exit code 1 where there is nothing, and 2 for a name that is none', async () => {
    const none = await agent.run('cache', 'get', 'never.test');
    assert.deepEqual([none.code, none.out], [1, '']);
    assert.match(none.err, /^nothing is cached for never\.test$/m);
    const { code, err } = await agent.run('cache', 'dump', 'never.test');
    assert.equal(code, 1);
    assert.match(err, /^nothing is cached in never\.test$/m);
    const both = await agent.run('cache', 'flush', '-all', '-zone', 'never.test');
    assert.equal(both.code, 2);
    assert.match(both.err, /cache flush needs one of: a name, -zone, -all/);
    const wrong = await agent.run('cache', 'get', 'a..b');
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /empty label in name "a\.\.b"/);
  });
});

describe('dump and stats', () => {
  before(fill);

  it('lists a zone', async () => {
    const { code, out } = await agent.run('cache', 'dump', 'web.test');
    assert.equal(code, 0);
    const lines = out.trimEnd().split('\n').slice(1);
    assert.equal(lines.length, 4);
    assert.ok(
      lines.every((line) => /web\.test\. (A|AAAA|HTTPS) NOERROR /.test(line)),
      out,
    );
  });

  it('lists everything', async () => {
    const all = await agent.json('cache', 'dump');
    assert.ok(all.some(({ name }) => name === 'gone.test.'));
    assert.ok(all.length > 6);
  });

  it('counts', async () => {
    const [stats] = await agent.json('cache', 'stats');
    assert.ok(Number(stats?.answers) >= 4 && Number(stats?.denials) >= 2);
    assert.ok(Number(stats?.limitBytes) > Number(stats?.answerBytes));
    const { out } = await agent.run('cache', 'stats');
    assert.match(out, /^memory +\S+ \S+ of /m);
  });
});

describe('flush', () => {
  it('of a name takes its types, and not those of other names', async () => {
    await fill();
    const { code, out } = await agent.run('cache', 'flush', 'web.test');
    assert.equal(code, 0);
    assert.match(out, /^removed 3 entries \(3 answers, .*; the snapshot was written anew$/m);
    assert.equal((await agent.run('cache', 'get', 'web.test')).code, 1);
    assert.equal((await agent.run('cache', 'get', 'a.web.test')).code, 0);
    upstream.asked.length = 0;
    await asked('web.test', A);
    assert.deepEqual(upstream.asked, ['web.test. A']);
  });

  it('of a type leaves the others', async () => {
    await fill();
    const [flushed] = await agent.json('cache', 'flush', 'web.test', 'A');
    assert.deepEqual([flushed?.entries, flushed?.snapshot], [1, 'written']);
    const left = await agent.json('cache', 'get', 'web.test');
    assert.deepEqual(left.map(({ type }) => type).sort(), ['AAAA', 'HTTPS']);
  });

  it('of a name takes the denial above it that denies it', async () => {
    await asked('gone.test', A);
    upstream.asked.length = 0;
    await asked('below.gone.test', A);
    assert.deepEqual(upstream.asked, [], 'the cut denies it');
    const [flushed] = await agent.json('cache', 'flush', 'below.gone.test');
    assert.equal(flushed?.cuts, 1);
    await asked('below.gone.test', A);
    assert.deepEqual(upstream.asked, ['below.gone.test. A']);
  });

  it('of a zone takes what is below it', async () => {
    await fill();
    const [flushed] = await agent.json('cache', 'flush', '-zone', 'web.test');
    assert.equal(flushed?.entries, 4);
    assert.equal((await agent.run('cache', 'get', 'gone.test')).code, 0);
  });

  it('is not undone by a restart', async () => {
    await fill();
    await agent.end();
    await agent.start();
    assert.equal((await agent.run('cache', 'get', 'web.test')).code, 0, 'the snapshot keeps it');
    await agent.run('cache', 'flush', 'web.test');
    await agent.end('SIGKILL');
    await agent.start();
    assert.equal((await agent.run('cache', 'get', 'web.test')).code, 1);
    assert.equal((await agent.run('cache', 'get', 'a.web.test')).code, 0);
  });

  it('of all leaves nothing, and is counted', async () => {
    await fill();
    const [flushed] = await agent.json('cache', 'flush', '-all');
    assert.ok(Number(flushed?.entries) >= 6);
    assert.deepEqual(await agent.json('cache', 'dump'), []);
    const [stats] = await agent.json('cache', 'stats');
    const counters = stats?.counters as Record<string, number>;
    assert.ok(Number(counters.flushed) >= Number(flushed?.entries));
    assert.match(agent.log, /"msg":"cache flushed"/);
  });

  for (const args of [
    [],
    ['x.test', '-all'],
    ['-zone', 'x', '-all'],
    ['x', 'A', 'more'],
    ['x', 'WHAT'],
  ])
    it(`needs to know what: ${args.join(' ') || 'no argument'}`, async () => {
      const { code, err } = await agent.run('cache', 'flush', ...args);
      assert.equal(code, 2, err);
      assert.match(err, /^nodens: /);
    });
});
