import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FLAG, flagsOf } from '../../../../agent/dns/header.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import { clientAt } from '../../../../agent/query/query.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { settle } from '../../../support/fake-clock.ts';
import type { Entry } from '../../../support/kubernetes/names.ts';
import { COM, FILE, FIRST, lines, lookup, PUBLIC } from './lookup.ts';

describe('autopath', () => {
  it('answers the first query with the first name of the walk that exists, behind an alias', async () => {
    const { ask, names, results, services } = lookup({ [COM]: PUBLIC });
    assert.equal(
      lines(await ask(FIRST)),
      `NOERROR, ${FIRST} 5 CNAME api.example.com, api.example.com 60 A 192.0.2.7`,
    );
    assert.deepEqual(
      names.asked.filter((asked) => asked.startsWith('A ')),
      [
        'A api.example.com.svc.cluster.local.',
        'A api.example.com.cluster.local.',
        'A api.example.com.corp.example.',
        'A api.example.com.',
        'A api.example.com.',
      ],
    );
    assert.equal(results('found'), 1);
    const success = { server: 'dns://127.0.0.1:53' };
    assert.equal(services.metrics.value('coredns_autopath_success_total', success), 1);
  });

  it('ends at the first element that exists', async () => {
    const { ask } = lookup({ 'db.corp.example.': { A: ['192.0.2.8'] }, 'db.': PUBLIC });
    assert.equal(
      lines(await ask('db.shop.svc.cluster.local')),
      'NOERROR, db.shop.svc.cluster.local 5 CNAME db.corp.example, db.corp.example 60 A 192.0.2.8',
    );
  });

  it('passes on what exists at the first element, and asks nothing', async () => {
    const { ask, names } = lookup({ 'web.shop.svc.cluster.local.': { A: ['10.0.0.1'] } });
    assert.equal(
      lines(await ask('web.shop.svc.cluster.local')),
      'NOERROR, web.shop.svc.cluster.local 60 A 10.0.0.1',
    );
    // An empty answer exists as well.
    assert.match(
      lines(await ask('web.shop.svc.cluster.local', 'TXT')),
      /^NOERROR, example 30 SOA$/,
    );
    assert.deepEqual(names.asked, []);
  });

  it('gives the first denial back if every element is denied, and walks once', async () => {
    const { ask, names, results } = lookup();
    assert.match(lines(await ask(FIRST)), /^NXDOMAIN, example 30 SOA$/);
    const walked = names.asked.length;
    await ask(FIRST);
    await ask(FIRST, 'AAAA');
    assert.equal(names.asked.length, walked);
    assert.equal(results('denied'), 3);
  });

  it('leaves a name without any address to the client: what it does next differs from library to library', async () => {
    const { ask, results } = lookup({ 'any.svc.cluster.local.': {}, 'any.': PUBLIC });
    for (const type of ['A', 'AAAA'] as const)
      assert.match(lines(await ask('any.shop.svc.cluster.local', type)), /^NXDOMAIN/);
    assert.equal(results('denied'), 2);
  });

  it('answers both types where only one of them exists', async () => {
    for (const [type, other] of [
      ['A', 'AAAA'],
      ['AAAA', 'A'],
    ] as const) {
      const entry = type === 'A' ? { A: ['192.0.2.7'] } : { AAAA: ['2001:db8::7'] };
      for (const first of ['A', 'AAAA'] as const) {
        const { ask } = lookup({ [COM]: entry });
        const answers = { [first]: lines(await ask(FIRST, first)) };
        const second = first === 'A' ? 'AAAA' : 'A';
        answers[second] = lines(await ask(FIRST, second));
        assert.match(answers[type] ?? '', new RegExp(`^NOERROR, .* ${type} `));
        assert.match(answers[other] ?? '', /^NOERROR, .* CNAME api.example.com, .* SOA$/);
      }
    }
  });

  it('leaves alone what is no expansion', async () => {
    const { ask, names } = lookup({ 'api.example.com.': PUBLIC, 'shop.': PUBLIC });
    for (const name of ['api.example.com', 'a.svc.cluster.local', 'shop.svc.cluster.local'])
      await ask(name);
    for (const [type, o] of [
      ['CNAME', {}],
      ['ANY', {}],
      ['SOA', {}],
      ['A', { class: 3 }],
      ['A', { dnssecOk: true, udpSizeBytes: 1232 }],
    ] as const)
      assert.match(lines(await ask(FIRST, type, o)), /^NXDOMAIN/, type);
    const query = queryFor(FIRST, 'A');
    query.head.flags &= ~FLAG.RD;
    query.arrivedMs = 0;
    assert.deepEqual(names.asked, []);
  });

  it('leaves alone a base with as many dots as ndots', async () => {
    const file = `${FILE}options ndots:2\n`;
    const { ask, names } = lookup({ [COM]: PUBLIC, 'example.com.': PUBLIC }, file);
    assert.match(lines(await ask(FIRST)), /^NXDOMAIN/);
    assert.deepEqual(names.asked, []);
    assert.match(lines(await ask('example.com.shop.svc.cluster.local')), /^NOERROR/);
  });

  it('keeps to its zones', async () => {
    const entries = { [COM]: PUBLIC };
    const { ask } = lookup(entries, FILE, 'autopath example.org /r');
    assert.match(lines(await ask(FIRST)), /^NXDOMAIN/);
    const inside = lookup(entries, FILE, 'autopath example.org cluster.local /r');
    assert.match(lines(await inside.ask(FIRST)), /^NOERROR/);
  });

  it('serves other types that are looked up along the list', async () => {
    const { ask } = lookup({ 'mail.': { TXT: ['hello'] } });
    assert.match(
      lines(await ask('mail.shop.svc.cluster.local', 'TXT')),
      /CNAME mail, mail 60 TXT hello$/,
    );
  });

  it('never gives its answer to another client', async () => {
    const { ask } = lookup({ [COM]: PUBLIC });
    const answer = await ask(FIRST);
    assert.equal(answer.shareable, false);
    assert.equal(answer.plugin, 'autopath');
    assert.equal(flagsOf(answer.wire) & (FLAG.AA | FLAG.AD), 0);
  });

  it('asks in the name of the client', async () => {
    const { ask, names } = lookup({ [COM]: PUBLIC });
    const client = clientAt('10.244.0.9', 40_000);
    await ask(FIRST, 'A', { client });
    for (const question of names.questions) {
      assert.equal(question.client?.address, '10.244.0.9');
      assert.equal(question.behalfOf, client.key);
      assert.equal(question.depth, 1);
    }
  });

  it('composes an answer once for the same records', async () => {
    const { ask, services } = lookup({ [COM]: PUBLIC });
    const before = await ask(FIRST);
    await services.clock.advance(2_000);
    assert.equal(await ask(FIRST), before, 'composed again');
    assert.equal(before.bornMs, services.clock.nowMs() - 2_000);
    await services.clock.advance(4_000);
    assert.notEqual(await ask(FIRST), before, 'its decision is over');
  });
});

describe('A and AAAA', () => {
  it('end at the same element if the upstream denies one of them', async () => {
    for (const [denied, has] of [
      ['A', 'AAAA'],
      ['AAAA', 'A'],
    ] as const)
      for (const order of [
        ['A', 'AAAA'],
        ['AAAA', 'A'],
      ] as const) {
        const entry = { ...PUBLIC, [denied]: 'NXDOMAIN' } as Entry;
        const { ask } = lookup({
          'db.cluster.local.': entry,
          'db.corp.example.': PUBLIC,
          'db.': PUBLIC,
        });
        const found = new Map<string, string>();
        for (const type of order)
          found.set(type, lines(await ask('db.shop.svc.cluster.local', type)));
        assert.match(found.get(has) ?? '', /CNAME db\.cluster\.local, db\.cluster\.local 60/);
        assert.match(
          found.get(denied) ?? '',
          /^NOERROR, .* CNAME db\.cluster\.local, example 30 SOA$/,
        );
      }
  });

  it('end at the first element if one of them exists there', async () => {
    const first = 'web.shop.svc.cluster.local';
    const { ask, names } = lookup({
      [`${first}.`]: { A: ['10.0.0.1'], AAAA: 'NXDOMAIN' },
      'web.': PUBLIC,
    });
    assert.equal(lines(await ask(first, 'AAAA')), 'NOERROR, example 30 SOA');
    assert.deepEqual(names.asked, [`A ${first}.`]);
    assert.equal(lines(await ask(first, 'A')), `NOERROR, ${first} 60 A 10.0.0.1`);
  });

  it('end at the same element although a name appears between them', async () => {
    const first = 'web.shop.svc.cluster.local';
    const { ask, names } = lookup({ 'web.corp.example.': PUBLIC });
    assert.match(lines(await ask(first, 'A')), /CNAME web\.corp\.example/);
    names.entries.set(`${first}.`, { A: ['10.0.0.1'], AAAA: ['fd00::1'] });
    names.entries.set('web.cluster.local.', PUBLIC);
    assert.match(lines(await ask(first, 'AAAA')), /CNAME web\.corp\.example/);
  });

  it('use what has been decided for a few seconds', async () => {
    const first = 'web.shop.svc.cluster.local';
    const { ask, names, services } = lookup({ 'web.corp.example.': PUBLIC });
    await ask(first, 'A');
    await services.clock.advance(4_900);
    await ask(first, 'A');
    names.entries.set('web.cluster.local.', PUBLIC);
    await services.clock.advance(200);
    // The other half of the lookup of 200 ms ago.
    assert.match(lines(await ask(first, 'AAAA')), /CNAME web\.corp\.example/);
    assert.match(lines(await ask(first, 'AAAA')), /CNAME web\.cluster\.local/);
    assert.match(lines(await ask(first, 'A')), /CNAME web\.cluster\.local/);
  });

  it('share one walk that is under way', async () => {
    const { send, names, services } = lookup({ [COM]: PUBLIC });
    const { promise, resolve } = Promise.withResolvers<void>();
    names.gate = promise;
    const results = (['A', 'AAAA', 'A'] as const).map((type) => {
      const query = queryFor(FIRST, type);
      query.arrivedMs = services.clock.nowMs();
      return send(query);
    });
    await settle();
    assert.deepEqual(names.asked, [`AAAA ${FIRST}.`]);
    resolve();
    const answers = await Promise.all(results.map((result) => Promise.resolve(result)));
    assert.deepEqual(
      answers.map((answer) =>
        lines(answer as Answer)
          .split(', ')
          .at(-1),
      ),
      [
        'api.example.com 60 A 192.0.2.7',
        'api.example.com 60 AAAA 2001:db8::7',
        'api.example.com 60 A 192.0.2.7',
      ],
    );
    // One walk for both types, and the answer for each of three clients' queries.
    assert.equal(names.asked.length, 1 + 4 * 2 + 3);
  });
});
