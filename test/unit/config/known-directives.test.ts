import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { checkDirectives, NOT_OF_A_NODE_CACHE } from '../../../agent/config/known-directives.ts';
import { SUPPORTED } from '../../../agent/plugins/order.ts';
import { parseText } from '../../support/corefiles/parse.ts';

/** `plugin.cfg` of CoreDNS 1.14. */
const COREDNS =
  `acl any auto autopath azure bind bufsize cache cancel chaos clouddns debug dns64 dnssec dnstap
  erratic errors etcd file forward geoip grpc grpc_server header health hosts https https3
  k8s_external kubernetes loadbalance local log loop metadata minimal multisocket nomad nsid on
  pprof prometheus proxyproto quic ready reload rewrite root route53 secondary shed sign template
  timeouts tls trace transfer tsig view whoami`.split(/\s+/);

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

it('says why a directive of CoreDNS is not in nodens', () => {
  assert.equal(
    check('. {\n errors\n etcd\n}'),
    '/etc/Corefile:3: directive "etcd" of CoreDNS is not in nodens: it reads a store of records: ' +
      'forward the zone to a CoreDNS that has it',
  );
  assert.match(check('. {\n constructor\n}'), /unknown directive "constructor"/);
});

it('every directive of CoreDNS 1.14 is a plugin or has a reason, and docs/comparison.md says it', () => {
  const reasons = Object.keys(NOT_OF_A_NODE_CACHE);
  const unknown = COREDNS.filter((name) => !SUPPORTED.has(name) && !reasons.includes(name));
  assert.deepEqual(unknown, []);
  assert.deepEqual(
    reasons.filter((name) => SUPPORTED.has(name) || !COREDNS.includes(name)),
    [],
  );
  const text = readFileSync(new URL('../../../docs/comparison.md', import.meta.url), 'utf8');
  assert.deepEqual(
    reasons.filter((name) => !text.includes(`\`${name}\``)),
    [],
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
