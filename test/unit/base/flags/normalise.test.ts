import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { normalise } from '../../../../agent/base/flags/normalise.ts';
import { flagsOf } from '../../../../agent/base/flags/table.ts';

const FLAGS = flagsOf('drop-in');

describe('normalise', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['one dash, value behind a space', ['-localip', '1.2.3.4'], ['--localip=1.2.3.4']],
    ['two dashes, value behind an equals sign', ['--localip=1.2.3.4'], ['--localip=1.2.3.4']],
    ['a switch alone', ['-quiet'], ['--quiet=true']],
    ['a switch switched off as Go does', ['-setupinterface=F'], ['--setupinterface=false']],
    ['an alias', ['-p=5353'], ['--dns.port=5353']],
    ['a value that looks like a flag', ['-conf', '-strange'], ['--conf=-strange']],
    ['an empty value', ['-metrics-listen-address='], ['--metrics-listen-address=']],
    ['a value with an equals sign', ['-conf=/a=b'], ['--conf=/a=b']],
  ];
  for (const [what, argv, expected] of cases) {
    it(what, () => {
      assert.deepEqual(normalise(argv, FLAGS), { argv: expected, wantsHelp: false });
    });
  }

  it('accepts the arguments of the stock manifest', () => {
    const argv = [
      ...['-localip', '169.254.20.10,10.96.0.10', '-conf', '/etc/Corefile'],
      ...['-upstreamsvc', 'kube-dns-upstream', '-pidfile', '/tmp/node-cache.pid'],
    ];
    assert.deepEqual(normalise(argv, FLAGS).argv, [
      '--localip=169.254.20.10,10.96.0.10',
      '--conf=/etc/Corefile',
      '--upstreamsvc=kube-dns-upstream',
      '--pidfile=/tmp/node-cache.pid',
    ]);
  });

  it('recognises -h and --help anywhere', () => {
    assert.equal(normalise(['-quiet', '--help'], FLAGS).wantsHelp, true);
    assert.equal(normalise(['-h'], FLAGS).wantsHelp, true);
  });

  const faults: readonly (readonly [readonly string[], RegExp])[] = [
    [['-loclip', 'x'], /unknown flag -loclip: did you mean -localip\?/],
    [['-localip'], /flag -localip needs a value/],
    [['-quiet=maybe'], /flag -quiet: "maybe" is neither true nor false/],
    [['word'], /unexpected argument "word"/],
    [['-'], /unexpected argument "-"/],
  ];
  for (const [argv, message] of faults) {
    it(`refuses ${argv.join(' ')}`, () => {
      assert.throws(() => normalise(argv, FLAGS), { name: 'UsageError', message });
    });
  }
});
