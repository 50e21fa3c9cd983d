import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DnsError, DropQuery } from '../../../../agent/base/errors.ts';
import { flagsOf } from '../../../../agent/dns/header.ts';
import { CLASS, RCODE } from '../../../../agent/dns/iana.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import { decoded } from '../../../support/dns/queries.ts';
import { reply, run, shown } from './rewriting.ts';

describe('rewrite type and class', () => {
  it('asks for another type and restores the question', async () => {
    const { asked } = await run('rewrite type ANY HINFO', 'a.example ANY');
    assert.equal(asked, 'a.example. HINFO');
  });

  it('asks in another class', async () => {
    const { below } = await run('rewrite class CH IN', 'a.example A', undefined, {
      class: CLASS.CH,
    });
    assert.equal(below.class, CLASS.IN);
  });
});

describe('rewrite ttl', () => {
  for (const [range, expected] of [
    ['15', [15, 15]],
    ['100-200', [100, 200]],
    ['100-', [100, 300]],
    ['-100', [60, 100]],
  ] as const) {
    it(`${range}: 60 and 300 become ${expected.join(' and ')}`, async () => {
      const below = reply('a.example A', ['a.example 60 A 192.0.2.1', 'a.example 300 A 192.0.2.2']);
      const { answer } = await run(`rewrite ttl a.example ${range}`, 'a.example A', () => below);
      const ttls = decoded(answer).answers?.map((found) => 'ttl' in found && found.ttl);
      assert.deepEqual(ttls, expected);
      assert.notDeepEqual(answer.wire, below.wire, 'a shared answer was written to');
    });
  }

  it('applies to the names it matches', async () => {
    const below = reply('a.example A', ['a.example 60 A 192.0.2.1']);
    const { answer } = await run('rewrite ttl suffix .test 15', 'a.example A', () => below);
    assert.equal(answer, below);
  });
});

describe('rewrite rcode', () => {
  it('changes the code of an answer', async () => {
    const { answer } = await run(
      'rewrite rcode a.example SERVFAIL NXDOMAIN',
      'a.example A',
      (asked) => reply(asked, [], RCODE.SERVFAIL),
    );
    assert.deepEqual([answer.rcode, flagsOf(answer.wire) & 15], [3, 3]);
  });

  it('turns an error into an answer', async () => {
    const fails = (): never => {
      throw new DnsError(RCODE.SERVFAIL, 'no upstream answers', { code: 22, text: 'gone' });
    };
    const { answer } = await run('rewrite rcode a.example 2 NOERROR', 'a.example A', fails);
    assert.deepEqual([answer.rcode, answer.extended?.code, answer.shareable], [0, 22, false]);
    await assert.rejects(run('rewrite rcode a.example 5 0', 'a.example A', fails), { rcode: 2 });
    const silent = (): never => {
      throw new DropQuery('silence');
    };
    await assert.rejects(run('rewrite rcode a.example 2 0', 'a.example A', silent), DropQuery);
  });
});

describe('rewrite cname', () => {
  const below = (asked: string): Answer =>
    reply(asked, [
      'a.example 60 CNAME b.example',
      'b.example 50 CNAME cdn.test',
      'cdn.test 40 A 192.0.2.1',
    ]);

  it('resolves the new target', async () => {
    const rule = 'rewrite cname exact cdn.test own.cdn.test';
    const resolve = (): Answer => reply('own.cdn.test A', ['own.cdn.test 30 A 192.0.2.9']);
    const { answer, resolved } = await run(rule, 'a.example A', below, { resolve });
    assert.deepEqual(shown(answer), [
      'a.example 60 CNAME b.example',
      'b.example 50 CNAME own.cdn.test',
      'own.cdn.test 30 A 192.0.2.9',
    ]);
    assert.deepEqual([resolved.length, resolved[0]?.depth], [1, 1]);
  });

  it('returns the rcode of the target', async () => {
    const resolve = (asked: string): Answer => reply(asked, [], RCODE.NXDOMAIN);
    const rule = 'rewrite cname suffix .test .invalid';
    const { answer } = await run(rule, 'a.example A', below, { resolve });
    assert.deepEqual([answer.rcode, flagsOf(answer.wire) & 15], [3, 3]);
    assert.equal(shown(answer).length, 2);
  });

  it('does not change other answers', async () => {
    const { resolved, answer } = await run('rewrite cname x.test y.test', 'a.example A', below);
    assert.deepEqual([resolved.length, shown(answer).length], [0, 3]);
  });
});
