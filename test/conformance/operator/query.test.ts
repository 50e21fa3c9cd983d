/** `nodens query`, as built: the real chain answers, and the trace says what it did. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { OperatedAgent } from '../../support/operator.ts';

const MORE = `rewrite name old.test new.test
  acl {
    drop net 10.9.0.0/16
    block net 10.8.0.0/16
  }
  template IN TXT made.test {
    answer "{{ .Name }} 60 IN TXT \\"made here\\""
  }`;
const agent = new OperatedAgent({ cache: 'serve_stale 1h verify', more: MORE });
const { upstream } = agent;

before(async () => {
  upstream.records.set('web.test. A', ['web.test. 300 IN A 192.0.2.7']);
  upstream.records.set('new.test. A', ['new.test. 300 IN A 192.0.2.9']);
  upstream.records.set('short.test. A', ['short.test. 5 IN A 192.0.2.5']);
  await agent.start();
});
after(() => agent.remove());

/** Texts of the steps by their first word. */
async function steps(...args: readonly string[]): Promise<string[]> {
  const [result] = await agent.json('query', ...args, '-trace');
  const found = result?.steps as { step: string; text: string }[];
  return found.map(({ step, text }) => `${step}: ${text}`);
}

describe('query', () => {
  it('prints like dig', async () => {
    const { code, out, err } = await agent.run('query', 'Web.test');
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assert.match(out, /^;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: \d+$/m);
    assert.match(out, /^;; flags: qr rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1$/m);
    assert.match(out, /^;Web\.test\.\t\tIN\tA$/m);
    assert.match(out, /^Web\.test\.\t300\tIN\tA\t192\.0\.2\.7$/m);
    assert.match(out, /^;; FROM: miss, plugin cache$/m);
    const again = await agent.run('query', 'web.test');
    assert.match(again.out, /^;; FROM: hit, plugin cache$/m);
  });

  it('asks for any type, and knows what a type is', async () => {
    const [result] = await agent.json('query', 'web.test', 'TYPE65400');
    const message = result?.message as { question: string; rcode: string } | undefined;
    assert.deepEqual(
      [message?.question, message?.rcode],
      ['web.test.\t\tIN\tTYPE65400', 'NOERROR'],
    );
    const wrong = await agent.run('query', 'web.test', 'NOTYPE');
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /"NOTYPE" is no record type/);
  });

  it('is treated as the client that it names', async () => {
    const rcodeOf = async (client: string): Promise<unknown> => {
      const [result] = await agent.json('query', 'web.test', '-client', client);
      return (result?.message as { rcode: string } | undefined)?.rcode;
    };
    assert.equal(await rcodeOf('10.8.1.1'), 'REFUSED');
    assert.equal(await rcodeOf('10.7.1.1'), 'NOERROR');
    const dropped = await agent.run('query', 'web.test', '-client', '10.9.1.1');
    assert.equal(dropped.code, 1);
    assert.match(dropped.out, /^;; no response: the agent drops this query$/m);
    const wrong = await agent.run('query', 'web.test', '-client', 'pod');
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /"pod" is not an IP address/);
  });

  it('names the listeners where it is given another', async () => {
    const { code, err } = await agent.run('query', 'web.test', '-listener', '127.0.0.9:53');
    assert.equal(code, 2);
    assert.match(
      err,
      new RegExp(`does not listen on 127\\.0\\.0\\.9:53, but on 127\\.0\\.0\\.1:${agent.port}`),
    );
  });

  it('is not counted as a request', async () => {
    const queriesOf = async (): Promise<unknown> => (await agent.json('status'))[0]?.queries;
    const before = await queriesOf();
    await agent.run('query', 'web.test');
    assert.equal(await queriesOf(), before);
  });
});

describe('trace', () => {
  it('of a miss: block, cache, upstream, what is stored', async () => {
    await agent.run('cache', 'flush', '-all');
    const [block = '', chain = '', ...rest] = await steps('web.test');
    assert.match(
      block,
      /^block: \. \(.*Corefile:1\): the longest zone of dns:\/\/127\.0\.0\.1:\d+/,
    );
    assert.equal(chain, 'chain: errors rewrite acl cache template forward');
    assert.match(rest[0] ?? '', /^cache: miss: asks the plugins below$/);
    assert.match(
      rest[1] ?? '',
      /^upstream: 127\.0\.0\.1:\d+ over (udp|tcp): NOERROR after [\d.]+ ms$/,
    );
    assert.match(rest.join('\n'), /^forward: answers NOERROR$/m);
    assert.match(
      rest.join('\n'),
      /^cache: stored: fresh answer NOERROR, TTL left 300 s, of use in an outage for 3900 s, age 0 s$/m,
    );
  });

  it('of a hit', async () => {
    await agent.run('query', 'web.test');
    const found = await steps('web.test');
    assert.match(found.join('\n'), /^cache: hit: fresh answer NOERROR, TTL left (300|2\d\d) s/m);
    assert.ok(!found.some((text) => text.startsWith('upstream')));
  });

  it('of a failure: every attempt', async () => {
    const found = await steps('broken.test');
    assert.match(found.join('\n'), /^upstream: .*: SERVFAIL after/m);
    assert.match(found.join('\n'), /^cache: stored: fresh failure SERVFAIL/m);
  });

  it('of a name that is rewritten', async () => {
    const found = (await steps('old.test')).join('\n');
    assert.match(found, /^rewrite: asked new\.test\. A instead/m);
    assert.match(found, /^upstream: .*NOERROR/m);
  });

  it('of an answer that a plugin makes', async () => {
    assert.match((await steps('made.test', 'TXT')).join('\n'), /^template: answers NOERROR$/m);
  });

  it('of a client that is refused', async () => {
    const found = await steps('web.test', '-client', '10.8.1.1');
    assert.deepEqual(found.slice(2), ['acl: answers REFUSED']);
  });

  it('as text has a line for each step before the answer', async () => {
    const { out } = await agent.run('query', 'web.test', '-trace');
    assert.match(out, /^;; +[\d.]+ms {2}block {2,}\. /);
  });
});
