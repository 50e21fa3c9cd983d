import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LocalLackError, lackOf, lackOfOpening, UnreadError } from '../../../agent/base/lack.ts';

const TABLE = [
  ['EMFILE', 'descriptors', 'descriptors'],
  ['ENFILE', 'descriptors', 'descriptors'],
  ['ENOMEM', 'memory', 'memory'],
  ['ENOBUFS', 'memory', 'memory'],
  ['EADDRNOTAVAIL', 'ports', undefined],
  ['EADDRINUSE', 'ports', undefined],
  ['EAGAIN', 'ports', undefined],
  ['ECONNREFUSED', undefined, undefined],
  ['ETIMEDOUT', undefined, undefined],
  ['ENETUNREACH', undefined, undefined],
  ['ECONNRESET', undefined, undefined],
  ['EACCES', undefined, undefined],
] as const;

describe('what this node lacks', () => {
  for (const [errno, reaching, opening] of TABLE) {
    it(`is derived from ${errno}: ${reaching} for a server, ${opening} for a file or a bind`, () => {
      assert.deepEqual([lackOf(errno), lackOfOpening(errno)], [reaching, opening]);
    });
  }

  it('ends a query with SERVFAIL that says so and is not stored', () => {
    const error = new LocalLackError('ports', 'EADDRNOTAVAIL');
    const text = 'no upstream was asked: this node lacks ports (EADDRNOTAVAIL)';
    assert.deepEqual([error.rcode, error.isLocal, error.extended], [2, true, { code: 0, text }]);
  });

  it('is the reason why a file is not known', () => {
    const cause = Object.assign(new Error('too many'), { code: 'EMFILE' });
    const error = new UnreadError('/etc/Corefile', 'descriptors', cause);
    assert.deepEqual([error.lack, error.errno], ['descriptors', 'EMFILE']);
    assert.match(error.message, /^\/etc\/Corefile cannot be read: this node lacks descriptors/);
  });
});
