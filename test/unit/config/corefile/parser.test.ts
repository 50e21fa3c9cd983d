import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseText as parse } from '../../../support/corefiles/parse.ts';
import { outline } from './outline.ts';

describe('server blocks', () => {
  it('reads keys, directives, arguments and options', () => {
    const corefile = parse('. {\n  errors\n  cache 30 {\n    success 9984 30\n  }\n}\n');
    assert.deepEqual(outline(corefile), [
      [['dns://.:53'], [['errors'], ['cache', '30', [['success', '9984', '30']]]]],
    ]);
    assert.deepEqual(corefile.blocks[0]?.directives[1]?.place, { file: '/etc/Corefile', line: 3 });
  });

  it('accepts several keys on a line and continues after a comma', () => {
    const corefile = parse('a.test b.test:5353,\n  c.test,\n  d.test {\n}\n');
    const keys = ['dns://a.test.:53', 'dns://b.test.:5353', 'dns://c.test.:53', 'dns://d.test.:53'];
    assert.deepEqual(outline(corefile), [[keys, []]]);
  });

  it('accepts one block without braces, and one without directives', () => {
    assert.deepEqual(outline(parse('a.test\nwhoami\nlog\n')), [
      [['dns://a.test.:53'], [['whoami'], ['log']]],
    ]);
    assert.deepEqual(outline(parse('a.test')), [[['dns://a.test.:53'], []]]);
  });

  it('accepts the opening brace of a block on the next line, and its first directive after it', () => {
    assert.deepEqual(outline(parse('a.test\n{ whoami\n}\nb.test { log\n} c.test {\n}\n')), [
      [['dns://a.test.:53'], [['whoami']]],
      [['dns://b.test.:53'], [['log']]],
      [['dns://c.test.:53'], []],
    ]);
  });

  it('starts a line after an opening brace, also for imports and closing braces', () => {
    const text = '(base) { errors\n}\n. { import base\n cache { }\n log { class all\n }\n}\n';
    assert.deepEqual(outline(parse(text)), [
      [['dns://.:53'], [['errors'], ['cache', []], ['log', [['class', 'all']]]]],
    ]);
  });

  it('groups the uses of a directive in file order', () => {
    const [block] = parse('. {\n bind a\n log\n bind b c\n}').blocks;
    assert.deepEqual(
      block?.directives.map((directive) => [directive.name, directive.uses.length]),
      [
        ['bind', 2],
        ['log', 1],
      ],
    );
  });

  it('returns no block for an empty text', () => {
    for (const text of ['', '\n\n', '# nothing\n', '\ufeff', '(unused) {\n log\n}\n'])
      assert.deepEqual(parse(text).blocks, [], JSON.stringify(text));
  });

  it('hashes the content, not the layout', () => {
    const { hash } = parse('. {\n log\n errors\n}');
    assert.match(hash, /^[0-9a-f]{128}$/);
    assert.equal(parse('# new\n.:53 {\n\n  "log" # why\n  errors\n}').hash, hash);
    assert.notEqual(parse('. {\n errors\n log\n}').hash, hash);
    assert.notEqual(parse('. {\n log errors\n}').hash, hash);
  });
});

describe('words', () => {
  it('drops a byte order mark and carriage returns', () => {
    assert.deepEqual(outline(parse('\ufeff. {\r\n  fo\rrward . 1.1.1.1\r\n}\r\n')), [
      [['dns://.:53'], [['forward', '.', '1.1.1.1']]],
    ]);
  });

  it('starts a comment in the middle of a word', () => {
    assert.deepEqual(outline(parse('. { # opens\n whoami#x "y\n#z\n}')), [
      [['dns://.:53'], [['whoami']]],
    ]);
  });

  it('keeps blanks, hashes, braces and line feeds in quotes, with \\" as the only escape', () => {
    const line = parse('. {\n log "a b#\\"{\n}\\n" "" "}"x\n errors\n}').blocks[0]?.directives[0];
    assert.deepEqual(
      line?.uses[0]?.args.map((arg) => arg.text),
      ['a b#"{\n}\\n', '', '}', 'x'],
    );
  });

  it('counts lines through quotes', () => {
    const [block] = parse('. {\n log "a\n\nb"\n errors\n}').blocks;
    assert.equal(block?.directives[1]?.place.line, 5);
  });

  it('reads quotes and braces inside a word literally', () => {
    assert.deepEqual(outline(parse('. {\n log say"hi" {common} {{ .Name }} {}\n}')), [
      [['dns://.:53'], [['log', 'say"hi"', '{common}', '{{', '.Name', '}}', '{}']]],
    ]);
  });
});

describe('environment', () => {
  it('replaces both forms in keys, names and arguments, without splitting', () => {
    const env = { ZONE: 'a.test', DIR: 'forward', TWO: '1.1.1.1 9.9.9.9', NEST: '{$ZONE}' };
    const corefile = parse('{$ZONE}:5 {\n {%DIR%} . {$TWO} x{%NEST%}y {$} {%%}\n}', { env });
    assert.deepEqual(outline(corefile), [
      [['dns://a.test.:5'], [['forward', '.', '1.1.1.1 9.9.9.9', 'xa.testy', '{$}', '{%%}']]],
    ]);
    assert.deepEqual(corefile.warnings, []);
  });

  it('reads an undefined variable as empty and warns', () => {
    const corefile = parse('. {\n log {$toString}\n}');
    assert.deepEqual(outline(corefile), [[['dns://.:53'], [['log', '']]]]);
    assert.deepEqual(corefile.warnings, [
      '/etc/Corefile:2: environment variable toString is not set, taken as empty',
    ]);
  });

  it('does not warn of an import that finds a snippet for the empty value', () => {
    const text = (snippet: string): string =>
      `(log-) {\n}\n${snippet}. {\n import log-{$LOG}\n import x{$FILE}\n}`;
    const { warnings } = parse(text(''), { files: { '/etc/x': 'errors {$MORE}' } });
    assert.deepEqual(
      warnings.map((line) => line.replace(/^.*variable (\w+) .*$/, '$1')),
      ['FILE', 'MORE'],
    );
  });

  it('never reads structure from a value', () => {
    const corefile = parse('. {\n log {$B} # {$B}\n}', { env: { B: '{' } });
    assert.deepEqual(outline(corefile), [[['dns://.:53'], [['log', '{']]]]);
  });
});

describe('braces out of place that CoreDNS starts with', () => {
  const zones = ({ blocks }: ReturnType<typeof parse>) =>
    blocks.map(({ keys, directives }) => [
      ...keys.map(({ zone }) => zone),
      ...directives.map(({ name }) => name),
    ]);
  const table: [what: string, text: string, blocks: string[][], warning: RegExp][] = [
    [
      'glued to a zone',
      'a.org, b.org:5353{\n log\n}\n. {\n}',
      [['a.org.', 'b.org.', 'log'], ['.']],
      /:1: "b\.org:5353\{" is taken for "b\.org:5353 \{"/,
    ],
    ['glued to the root', '.{\n log\n}', [['.', 'log']], /:1: "\.\{" is taken for "\. \{"/],
    [
      'glued to a snippet',
      '(s){\n log\n}\n. {\n import s\n}',
      [['.', 'log']],
      /:1: "\(s\)\{" is taken for/,
    ],
    [
      'one too many at the end',
      '. {\n log\n}\n}\n',
      [['.', 'log']],
      /:4: this \} has no opening brace/,
    ],
    ['more at the end', '. {\n}\n} }\n}', [['.']], /:3: this \} has no opening brace/],
    [
      'closing what is not open',
      '.\nlog\n}\na.org {\n}',
      [['.', 'log'], ['a.org.']],
      /:3: this \} is taken for the end of "\."/,
    ],
    ['within a word', 'a{b {\n}', [['a{b.']], /:1: a\{b\. is served as a domain name; a brace/],
  ];
  for (const [what, text, blocks, warning] of table) {
    it(what, () => {
      const corefile = parse(text);
      assert.deepEqual(zones(corefile), blocks);
      assert.equal(corefile.warnings.length, 1, corefile.warnings.join('\n'));
      assert.match(corefile.warnings[0] as string, warning);
    });
  }

  it('a quoted word keeps its brace', () => {
    assert.deepEqual(zones(parse('"a{"\n{\n}')), [['a{.']]);
  });
});
