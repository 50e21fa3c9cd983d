import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ConfigError,
  DnsError,
  errnoOf,
  InternalError,
  messageOf,
  NetworkError,
  NodensError,
  UsageError,
} from '../../../agent/base/errors.ts';

describe('errors', () => {
  const cause = new Error('deep');

  it('that are expected have no stack, and other errors keep theirs', () => {
    const weather = [new NetworkError('wait', 'ETIMEDOUT', 'x'), new DnsError(2, 'x')];
    for (const { stack } of weather) assert.doesNotMatch(stack ?? '', /\n\s+at /);
    assert.match(new InternalError('x').stack ?? '', /\n\s+at /);
  });

  for (const [error, name, code] of [
    [new InternalError('x', { cause }), 'InternalError', 'NODENS_INTERNAL'],
    [new UsageError('x'), 'UsageError', 'NODENS_USAGE'],
    [new ConfigError({ file: 'f', line: 1 }, 'x', { cause }), 'ConfigError', 'NODENS_CONFIG'],
    [new NetworkError('wait', 'ETIMEDOUT', 'x', { cause }), 'NetworkError', 'NODENS_NETWORK'],
    [new DnsError(2, 'x', undefined, { cause }), 'DnsError', 'NODENS_DNS'],
  ] as const) {
    it(`${name} says what it is`, () => {
      assert.ok(error instanceof NodensError);
      assert.deepEqual([error.name, error.code], [name, code]);
      if (!(error instanceof UsageError)) assert.equal(error.cause, cause);
    });
  }

  it('of a configuration begin with the place', () => {
    const error = new ConfigError({ file: '/etc/Corefile', line: 7 }, 'no such thing');
    assert.equal(error.message, '/etc/Corefile:7: no such thing');
    assert.equal(error.reason, 'no such thing');
  });

  it('give an errno and one line, whatever was thrown', () => {
    assert.equal(errnoOf(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })), 'ECONNREFUSED');
    for (const thrown of [new Error('x'), null, undefined, 'text', { code: 7 }]) {
      assert.equal(errnoOf(thrown), 'UNKNOWN');
    }
    assert.equal(messageOf(cause), 'deep');
    assert.equal(messageOf('text'), 'text');
  });
});
