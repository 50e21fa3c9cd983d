import assert from 'node:assert/strict';
import { it } from 'node:test';
import { checkDirectives } from '../../../agent/config/known-directives.ts';
import { parseText } from '../../support/corefiles/parse.ts';

const supported = new Set(['cache', 'errors', 'forward']);

function check(text: string): string {
  try {
    checkDirectives(parseText(text), supported);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

it('accepts supported directives', () => {
  assert.equal(check('. {\n errors\n cache\n}'), '');
});

it('names a directive that CoreDNS supports and nodens does not', () => {
  assert.equal(
    check('. {\n errors\n dns64\n}'),
    '/etc/Corefile:3: directive "dns64" is known to CoreDNS but nodens does not support it yet: ' +
      'remove it, or forward the zone to a CoreDNS that has it',
  );
});

it('suggests the nearest name of an unknown one, or all of them', () => {
  assert.equal(
    check('. {\n foward . 1.1.1.1\n}'),
    '/etc/Corefile:2: unknown directive "foward": did you mean "forward"?',
  );
  assert.equal(
    check('. {\n frobnicate\n}'),
    '/etc/Corefile:2: unknown directive "frobnicate": nodens has cache, errors, forward',
  );
});

it('recognises a zone in a file whose first block lacks braces', () => {
  assert.equal(
    check('a.test\nerrors\nb.test:53 {\n}'),
    '/etc/Corefile:3: unknown directive "b.test:53": if it is a zone, every server block of the ' +
      'file needs braces',
  );
});
