import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { FLAG, flagsOf } from '../../../../agent/dns/header.ts';
import { setup } from '../../../../agent/plugins/header/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { ask, NextSpy, queryFor } from '../../../support/dns/queries.ts';

const header = (lines: string) => setup(parseDirective(lines).directive);

describe('header', () => {
  it('changes the query for the plugins below, and the answer', () => {
    const plugin = header('header {\nquery clear rd\nresponse set aa RA\n}');
    const query = queryFor('a.example', 'A');
    const next = new NextSpy();
    let seen = -1;
    const answer = ask(plugin, query, (below) => {
      seen = below.head.flags;
      return next.handler(below);
    });
    assert.equal(seen & FLAG.RD, 0);
    assert.equal(flagsOf(answer.wire), FLAG.AA | FLAG.RA);
    assert.equal(flagsOf(next.answer.wire), 0, 'a shared answer was written to');
  });

  it('changes rd of a response where it is echoed from the query', () => {
    const query = queryFor('a.example', 'A');
    ask(header('header {\nresponse clear rd\n}'), query, new NextSpy().handler);
    assert.equal(query.head.flags & FLAG.RD, 0);
  });

  it('reads every use, the later line wins, an unchanged answer is the same object', () => {
    const next = new NextSpy();
    const plugin = header('header {\nresponse set aa\n}\nheader {\nresponse clear aa\n}');
    assert.equal(ask(plugin, queryFor('a.example', 'A'), next.handler), next.answer);
  });

  for (const text of [
    'header',
    'header aa {\nquery set rd\n}',
    'header {\nquery set\n}',
    'header {\nquery toggle rd\n}',
    'header {\nresponse set xx\n}',
    'header {\nboth set rd\n}',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => header(text), { name: 'ConfigError' });
    });
  }
});
