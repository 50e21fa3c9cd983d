import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bindAddresses, setup } from '../../../../agent/plugins/bind/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';

const INTERFACES = new Map([
  ['lo', ['127.0.0.1', '::1']],
  ['eth0', ['10.1.2.3', 'fe80::1%eth0']],
  ['bare', []],
]);

function addresses(directives: string): string[] {
  return bindAddresses(parseDirective(directives).block, () => INTERFACES);
}

describe('bindAddresses', () => {
  for (const [directives, expected] of [
    ['whoami', []],
    ['bind 169.254.20.10', ['169.254.20.10']],
    ['bind lo\nbind 10.0.0.1', ['127.0.0.1', '::1', '10.0.0.1']],
    ['bind eth0', ['10.1.2.3', 'fe80::1%eth0']],
    ['bind 10.1.2.3 eth0 10.1.2.3', ['10.1.2.3', 'fe80::1%eth0']],
    ['bind FD00:0::0A', ['fd00::a']],
    ['bind 0.0.0.0 ::', ['0.0.0.0', '::']],
    ['bind lo eth0 {\nexcept ::1\nexcept eth0\n}', ['127.0.0.1']],
    ['bind lo {\nexcept 0:0:0:0:0:0:0:1\n}', ['127.0.0.1']],
    ['bind 0.0.0.0 {\nexcept 127.0.0.1\n}', ['10.1.2.3']],
    ['bind :: {\nexcept lo\n}', ['fe80::1%eth0']],
    ['bind lo {\nexcept ::1\n}\nbind ::1', ['127.0.0.1', '::1']],
  ] as const) {
    it(`${JSON.stringify(directives)} is ${expected.join(' ') || 'every address'}`, () => {
      assert.deepEqual(addresses(directives), expected);
    });
  }

  for (const [directives, message] of [
    ['bind nope0', /^\/etc\/Corefile:2: "nope0" is not an IP address or the name of an interface/],
    ['bind 1.2.3.4:53', /^\/etc\/Corefile:2: "1.2.3.4:53" is not an IP address/],
    ['bind bare', /^\/etc\/Corefile:2: interface "bare" has no address/],
    ['bind ::1 {\nexcept lo\n}', /^\/etc\/Corefile:2: except leaves bind no address/],
  ] as const) {
    it(`refuses ${JSON.stringify(directives)}`, () => {
      assert.throws(() => addresses(directives), { name: 'ConfigError', message });
    });
  }
});

describe('bind', () => {
  const setUp = (directives: string) => setup(parseDirective(directives).directive);

  it('does not handle queries', () => {
    assert.equal(setUp('bind lo {\nexcept ::1\n}').handle, undefined);
  });

  for (const directives of ['bind', 'bind lo {\nexcept\n}', 'bind lo {\nbut ::1\n}']) {
    it(`refuses ${JSON.stringify(directives)}`, () => {
      assert.throws(() => setUp(directives), { name: 'ConfigError' });
    });
  }
});
