import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/view/setup.ts';
import { type Client, clientAt, type Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { queryFor } from '../../../support/dns/queries.ts';

const V6: Client = clientAt('fd00::7', 5_353);

function view(...expressions: readonly string[]) {
  const lines = expressions.map((text) => `expr ${text}`).join('\n');
  const { directive, block } = parseDirective(`view inside {\n${lines}\n}`);
  return setup(directive, block);
}

function accepts(expression: string, query: Query = queryFor('www.example.org', 'A')): boolean {
  const result = view(expression).accepts?.(query);
  assert.ok(result !== undefined);
  return result;
}

function refused(expression: string): string {
  let message = '';
  assert.throws(
    () => view(expression),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /^\/etc\/Corefile:3: /);
      message = error.reason;
      return true;
    },
  );
  return message;
}

describe('view expressions', () => {
  it('can read every property of a query', () => {
    const query = queryFor('WWW.Example.org', 'AAAA', {
      ...{ transport: 'tcp', dnssecOk: true, udpSizeBytes: 1_400, client: V6 },
    });
    const truths = [
      'bufsize() == 65535',
      "class() == 'IN'",
      "client_ip() == 'fd00::7'",
      'do()',
      'id() == 4711',
      "name() == 'www.example.org.'",
      'opcode() == 0',
      "port() == '5353'",
      "proto() == 'tcp'",
      "server_ip() == '127.0.0.1'",
      "server_port() == '53'",
      `size() == ${query.length}`,
      "type() == 'AAAA'",
      "incidr(client_ip(), 'fd00::/64')",
      "metadata('missing/label') == ''",
    ];
    for (const text of truths) {
      assert.equal(accepts(text, query), true, text);
      assert.equal(accepts(`!(${text})`, query), false, `not ${text}`);
    }
  });

  it('the size in the OPT counts over UDP, 512 without one', () => {
    assert.ok(accepts('bufsize() == 512'));
    assert.ok(accepts('bufsize() == 1400', queryFor('a', 'A', { udpSizeBytes: 1_400 })));
  });

  const cases: readonly [text: string, expected: boolean][] = [
    ["type() in ['A', 'AAAA']", true],
    ["type() in ['MX']", false],
    ["type() not in ['MX']", true],
    ['1 in [id(), 1]', true],
    ["name() startsWith 'www.'", true],
    ["name() endsWith '.org.'", true],
    ["name() contains 'ample'", true],
    ["name() contains 'other'", false],
    ["name() matches '^w+[.]'", true],
    ["name() matches '^x'", false],
    ["incidr(client_ip(), '10.244.0.0/16')", true],
    ["incidr(client_ip(), '10.245.0.0/16')", false],
    ["incidr(client_ip(), 'fd00::/8')", false],
    ['true || false && false', true],
    ['(true || false) && false', false],
    ['not false and true', true],
    ['1 + 2 * 3 == 7', true],
    ['(1 + 2) * 3 == 9', true],
    ['7 % 4 - 1 == 2', true],
    ['-1 < 0', true],
    ["'a' + 'b' == 'ab'", true],
    ["'b' > 'a'", true],
    ['1 >= 2', false],
    ["'it\\'s' == `it's`", true],
    ["incidr(name(), '10.0.0.0/8')", false],
  ];
  for (const [text, expected] of cases) {
    it(`${text} is ${expected}`, () => assert.equal(accepts(text), expected));
  }

  it('are refused with place and reason', () => {
    assert.match(refused('nope()'), /unknown function nope\(\); there are bufsize\(\)/);
    assert.match(refused('id()'), /a view takes true or false, not number/);
    assert.match(refused("id() == 'x'"), /cannot compare number with text/);
    assert.match(refused("'a' < true"), /cannot compare/);
    assert.match(refused('do() ? do() : true'), /nothing begins with "\? do/);
    assert.match(refused('(do()'), /"\)" is missing before the end/);
    assert.match(refused('do() do()'), /"do" was not expected/);
    assert.match(refused('do() &&'), /a value is missing before the end/);
    assert.match(refused('do'), /unknown word "do"/);
    assert.match(refused("incidr(client_ip(), '10.0.0.1')"), /not a network/);
    assert.match(refused('incidr(client_ip())'), /takes 2 arguments/);
    assert.match(refused("name() matches '('"), /regular expression/);
    assert.match(refused('name() matches name()'), /in quotes/);
    assert.match(refused(`${'('.repeat(500)}true`), /nests deeper/);
    assert.match(refused(`${'!'.repeat(500)}true`), /nests deeper/);
  });
});

describe('view', () => {
  it('matches a query for which all its expressions are true, and reports its name', () => {
    const plugin = view('do()', "type() == 'A'");
    const query = queryFor('a', 'A', { dnssecOk: true, udpSizeBytes: 1_232 });
    query.metadata = new Map();
    assert.equal(plugin.view, 'inside');
    assert.equal(plugin.accepts?.(query), true);
    assert.equal(query.metadata.get('view/name'), 'inside');
    assert.equal(plugin.accepts?.(queryFor('a', 'A')), false);
  });

  it('needs a name and an expression', () => {
    for (const text of ['view', 'view a', 'view a {\n}', 'view a b {\nexpr true\n}']) {
      const { directive, block } = parseDirective(text);
      assert.throws(() => setup(directive, block), ConfigError, text);
    }
  });
});
