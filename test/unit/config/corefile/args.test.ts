import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import * as args from '../../../../agent/config/corefile/args.ts';
import type { Line, Token } from '../../../../agent/config/corefile/types.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';

const token = (text: string): Token => ({ text, quoted: false, place: { file: 'f', line: 7 } });
const line = (text: string): Line => args.onlyUse(parseDirective(text).directive);

function refuses(run: () => unknown, message: string): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.message, message);
    return true;
  });
}

describe('uses, arguments and braces', () => {
  it('lets a directive stand once', () => {
    assert.equal(line('cache 30').args[0]?.text, '30');
    refuses(
      () => args.onlyUse(parseDirective('cache\nerrors\ncache 5').directive),
      '/etc/Corefile:4: cache is allowed once per server block and is already at /etc/Corefile:2: ' +
        'merge the two',
    );
  });

  it('knows directives that are only a word', () => {
    args.bare(line('loop'));
    args.bare(line('loop {\n}'));
    refuses(() => args.bare(line('loop x')), '/etc/Corefile:2: loop takes no argument: remove "x"');
    refuses(
      () => args.bare(line('loop {\n a\n}')),
      '/etc/Corefile:2: loop takes no braces: remove them',
    );
  });

  it('counts arguments', () => {
    args.noArgs(line('a'));
    assert.equal(args.oneArg(line('a b')).text, 'b');
    assert.deepEqual(args.maxArgs(line('a'), 2), []);
    assert.equal(args.minArgs(line('a b c'), 1).length, 2);
    refuses(() => args.oneArg(line('a')), '/etc/Corefile:2: a needs one argument, got 0');
    refuses(
      () => args.oneArg(line('a b c')),
      '/etc/Corefile:2: a takes at most one argument: remove "c"',
    );
    refuses(
      () => args.minArgs(line('a b'), 2),
      '/etc/Corefile:2: a needs at least 2 arguments, got 1',
    );
    refuses(
      () => args.maxArgs(line('a 1 2 3'), 2),
      '/etc/Corefile:2: a takes at most 2 arguments: remove "3"',
    );
  });
});

describe('options', () => {
  it('hands every option to its handler, in order', () => {
    const seen: string[] = [];
    args.readOptions(line('cache {\n success 1\n denial 2\n success 3\n}'), {
      success: (option) => seen.push(`s${args.oneArg(option).text}`),
      denial: (option) => seen.push(`d${args.oneArg(option).text}`),
    });
    assert.deepEqual(seen, ['s1', 'd2', 's3']);
    args.readOptions(line('cache'), {});
  });

  it('refuses an unknown one with the nearest name, or all names', () => {
    const options = { serve_stale: () => {}, prefetch: () => {} };
    refuses(
      () => args.readOptions(line('cache {\n prefetch 1\n serve_stael\n}'), options),
      '/etc/Corefile:4: unknown option "serve_stael" of cache: did you mean "serve_stale"?',
    );
    refuses(
      () => args.readOptions(line('cache {\n constructor\n}'), options),
      '/etc/Corefile:3: unknown option "constructor" of cache: known: serve_stale, prefetch',
    );
    refuses(
      () => args.readOptions(line('cache {\n prefetch {\n }\n}'), options),
      '/etc/Corefile:3: prefetch takes no braces: remove them',
    );
  });
});

describe('values', () => {
  it('whole numbers', () => {
    assert.equal(args.intArg(token('-3')), -3);
    assert.equal(args.intArg(token('512'), { min: 512, max: 4096 }), 512);
    for (const bad of ['', '1.5', '0x1', '1e3', '99999999999999999999', 'ten'])
      refuses(() => args.intArg(token(bad)), `f:7: "${bad}" is not a whole number`);
    refuses(() => args.intArg(token('0'), { min: 1 }), 'f:7: "0" is too little: at least 1');
    refuses(() => args.intArg(token('9'), { max: 8 }), 'f:7: "9" is too much: at most 8');
  });

  it('percentages', () => {
    assert.equal(args.percentArg(token('10%'), { min: 10, max: 90 }), 10);
    refuses(() => args.percentArg(token('10'), {}), 'f:7: "10" is not a percentage like 10%');
    refuses(
      () => args.percentArg(token('95%'), { max: 90 }),
      'f:7: "95%" is too much: at most 90%',
    );
  });

  it('durations', () => {
    assert.equal(args.durationArg(token('1h30m')), 5_400_000);
    assert.equal(args.durationArg(token('60'), { bareSeconds: true }), 60_000);
    refuses(
      () => args.durationArg(token('60')),
      'f:7: "60" is not a duration like 30s, 5m or 1h30m',
    );
    refuses(() => args.durationArg(token('-1s')), 'f:7: "-1s" is too little: at least 0ms');
    refuses(
      () => args.durationArg(token('6m'), { maxMs: 300_000 }),
      'f:7: "6m" is too much: at most 5m',
    );
  });

  it('choices', () => {
    assert.equal(args.choiceArg(token('random'), ['random', 'sequential'] as const), 'random');
    refuses(
      () => args.choiceArg(token('sequental'), ['random', 'sequential']),
      'f:7: unknown "sequental": did you mean "sequential"?',
    );
  });

  it('networks', () => {
    assert.equal(args.cidrArg(token('10.0.0.0/8')).prefix, 8);
    refuses(
      () => args.cidrArg(token('10.0.0.0/33')),
      'f:7: "10.0.0.0/33" is not a network like 10.0.0.0/8 or fd00::/8',
    );
  });

  it('listen addresses', () => {
    const table: [string, string, number][] = [
      [':8080', '', 8080],
      ['localhost:9153', 'localhost', 9153],
      ['127.0.0.1:0', '127.0.0.1', 0],
      ['[fd00::10]:65535', 'fd00::10', 65_535],
    ];
    for (const [text, host, port] of table)
      assert.deepEqual(args.listenArg(token(text)), { host, port });
    const path = '/run/nodens/probe.sock';
    assert.deepEqual(args.listenArg(token(`unix:${path}`)), { path });
    const tooLong = `unix:/${'x'.repeat(107)}`;
    for (const bad of [
      'unix:',
      'unix:relative',
      tooLong,
      '8080',
      ':',
      'a:65536',
      'fd00::10:80',
      '[eth0]:80',
      '[1.2.3.4]:80',
      'a:b',
    ])
      assert.throws(() => args.listenArg(token(bad)), ConfigError, bad);
  });

  it('zones, with the block’s as default', () => {
    const { block } = parseDirective('log', 'B.Test:53 B.test:54 10.0.0.0/8');
    assert.deepEqual(args.zonesOf([], block), ['b.test.', '10.in-addr.arpa.']);
    assert.deepEqual(
      args.zonesOf([token('X.Test'), token('x.test.'), token('10.2.0.0/15')], block),
      ['x.test.', '2.10.in-addr.arpa.', '3.10.in-addr.arpa.'],
    );
    refuses(
      () => args.zonesOf([token('a..b')], block),
      'f:7: not a domain name: empty label in name "a..b"',
    );
  });
});
