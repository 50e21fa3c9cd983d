import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { setup } from '../../../../agent/plugins/any/setup.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { ask, decoded, NextSpy, queryFor } from '../../../support/dns/queries.ts';

const any = setUp(setup, 'any');

describe('any', () => {
  it('answers ANY with one HINFO', () => {
    const next = new NextSpy();
    const [record, ...more] =
      decoded(ask(any, queryFor('a.example', 'ANY'), next.handler)).answers ?? [];
    assert.equal(next.asked, 0);
    assert.deepEqual(more, []);
    assert.deepEqual(
      { ...record, class: undefined, flush: undefined },
      {
        type: 'HINFO',
        name: 'a.example',
        ttl: 8_482,
        class: undefined,
        flush: undefined,
        data: { cpu: 'ANY obsoleted', os: 'See RFC 8482' },
      },
    );
  });

  it('passes everything else on', () => {
    const next = new NextSpy();
    assert.equal(ask(any, queryFor('a.example', 'HINFO'), next.handler), next.answer);
  });

  it('accepts no arguments', () => {
    assert.throws(() => setUp(setup, 'any thing'), { name: 'ConfigError' });
  });
});
