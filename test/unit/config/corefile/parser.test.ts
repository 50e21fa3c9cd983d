import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { type ConfigFiles, recordReads } from '../../../../agent/config/corefile/imports.ts';
import { formatKey } from '../../../../agent/config/corefile/keys.ts';
import { parseCorefile } from '../../../../agent/config/corefile/parser.ts';
import type { Corefile, Line } from '../../../../agent/config/corefile/types.ts';
import { memoryFiles } from '../../../support/corefiles/memory-files.ts';
import { parseText as parse, type Surroundings } from '../../../support/corefiles/parse.ts';

/** Blocks as nested arrays of text: keys, then lines. */
function outline(corefile: Corefile): unknown {
  return corefile.blocks.map((block) => [
    block.keys.map(formatKey),
    block.directives.flatMap((directive) => directive.uses.map(lineOutline)),
  ]);
}

function lineOutline(line: Line): unknown {
  const words = [line.name.text, ...line.args.map((arg) => arg.text)];
  return line.body === undefined ? words : [...words, line.body.map(lineOutline)];
}

function refusal(text: string, around: Surroundings = {}): string {
  try {
    parse(text, around);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail('was accepted');
}

describe('server blocks', () => {
  it('reads keys, directives, arguments and options', () => {
    const corefile = parse('. {\n  errors\n  cache 30 {\n    success 9984 30\n  }\n}\n');
    assert.deepEqual(outline(corefile), [
      [['dns://.:53'], [['errors'], ['cache', '30', [['success', '9984', '30']]]]],
    ]);
    assert.deepEqual(corefile.blocks[0]?.directives[1]?.place, { file: '/etc/Corefile', line: 3 });
  });

  it('takes several keys on a line and goes on behind a comma', () => {
    const corefile = parse('a.test b.test:5353,\n  c.test,\n  d.test {\n}\n');
    const keys = ['dns://a.test.:53', 'dns://b.test.:5353', 'dns://c.test.:53', 'dns://d.test.:53'];
    assert.deepEqual(outline(corefile), [[keys, []]]);
  });

  it('takes one block without braces, and one without directives', () => {
    assert.deepEqual(outline(parse('a.test\nwhoami\nlog\n')), [
      [['dns://a.test.:53'], [['whoami'], ['log']]],
    ]);
    assert.deepEqual(outline(parse('a.test')), [[['dns://a.test.:53'], []]]);
  });

  it('takes the opening brace of a block on the next line, and its first directive behind it', () => {
    assert.deepEqual(outline(parse('a.test\n{ whoami\n}\nb.test { log\n} c.test {\n}\n')), [
      [['dns://a.test.:53'], [['whoami']]],
      [['dns://b.test.:53'], [['log']]],
      [['dns://c.test.:53'], []],
    ]);
  });

  it('begins a line behind an opening brace, also for imports and closing braces', () => {
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

  it('gives no block for an empty text', () => {
    for (const text of ['', '\n\n', '# nothing\n', '\ufeff', '(unused) {\n log\n}\n'])
      assert.deepEqual(parse(text).blocks, [], JSON.stringify(text));
  });

  it('hashes what it says, not how it is laid out', () => {
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

  it('takes quotes and braces inside a word literally', () => {
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

  it('takes an undefined variable as empty and says so', () => {
    const corefile = parse('. {\n log {$toString}\n}');
    assert.deepEqual(outline(corefile), [[['dns://.:53'], [['log', '']]]]);
    assert.deepEqual(corefile.warnings, [
      '/etc/Corefile:2: environment variable toString is not set, taken as empty',
    ]);
  });

  it('never makes structure of a value', () => {
    const corefile = parse('. {\n log {$B} # {$B}\n}', { env: { B: '{' } });
    assert.deepEqual(outline(corefile), [[['dns://.:53'], [['log', '{']]]]);
  });
});

describe('snippets and imports', () => {
  it('puts a snippet in blocks, in directives and in other snippets', () => {
    const text = `(base) {
  errors
}
(more) {
  import base
  log
}
a.test {
  import more
  cache {
    import options
  }
}
`;
    assert.deepEqual(outline(parse(text, { files: { '/etc/options': 'keepttl\nservfail 1s' } })), [
      [['dns://a.test.:53'], [['errors'], ['log'], ['cache', [['keepttl'], ['servfail', '1s']]]]],
    ]);
  });

  it('imports whole blocks at top level, relative to the importing file', () => {
    const files = {
      '/etc/conf/all': 'import parts/*.server\n',
      '/etc/conf/parts/b.server': 'b.test {\n whoami\n}\n',
      '/etc/conf/parts/a.server': 'a.test {\n import ../opts\n}',
      '/etc/conf/parts/.hidden.server': '}',
      '/etc/conf/opts': 'log',
    };
    const corefile = parse('import conf/all\n. {\n}\n', { files });
    assert.deepEqual(outline(corefile), [
      [['dns://a.test.:53'], [['log']]],
      [['dns://b.test.:53'], [['whoami']]],
      [['dns://.:53'], []],
    ]);
    assert.equal(corefile.blocks[0]?.directives[0]?.place.file, '/etc/conf/opts');
  });

  it('starts the text’s own imports where it is told to, those of its imports beside them', () => {
    const files = { '/run/a': 'a.test {\n import b\n}', '/run/b': 'log', '/etc/b': 'errors' };
    const options = { file: '/etc/Corefile.base', directory: '/run', defaultPort: 53, env: {} };
    const corefile = parseCorefile('import a', { ...options, files: memoryFiles(files) });
    assert.deepEqual(outline(corefile), [[['dns://a.test.:53'], [['log']]]]);
  });

  it('tells what to watch: files read, directories listed, what was not there', () => {
    const files = recordReads(memoryFiles({ '/etc/a/b': 'log', '/etc/c': '' }));
    const text = 'import c\n. {\n import a/*\n import no/*.override\n}';
    parseCorefile(text, { file: '/etc/Corefile', defaultPort: 53, env: {}, files });
    assert.deepEqual([...files.paths], ['/etc/c', '/etc/a', '/etc/a/b', '/etc/no']);
  });

  it('warns where a pattern matches nothing', () => {
    const corefile = parse('. {\n import custom/*.override\n}', { files: {} });
    assert.deepEqual(corefile.warnings, [
      '/etc/Corefile:2: no file matches the import custom/*.override',
    ]);
  });

  it('expands wildcards in directories too', () => {
    const files = { '/etc/x1/a': 'one {\n}', '/etc/x2/a': 'two {\n}', '/etc/x3/b': 'no {' };
    assert.deepEqual(outline(parse('import x?/a*', { files })), [
      [['dns://one.:53'], []],
      [['dns://two.:53'], []],
    ]);
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
    ['one too many at the end', '. {\n log\n}\n}\n', [['.', 'log']], /:4: this \} closes nothing/],
    ['more at the end', '. {\n}\n} }\n}', [['.']], /:3: this \} closes nothing/],
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

describe('refusals name the place and the way out', () => {
  const table: [what: string, text: string, message: string][] = [
    ['unclosed quote', '. {\n log "a\n}', '2: this quote is never closed: add a "'],
    ['unclosed block', '# x\n. {\n log\n', '2: the brace opened here is never closed: add a }'],
    ['unclosed body', '. {\n cache {\n', '2: the brace opened here is never closed: add a }'],
    [
      'stray brace',
      '. {\n}\n}\na {\n}',
      '3: this } closes nothing that was opened here: remove it',
    ],
    ['stray brace behind a zone', 'a }', '1: this } closes nothing'],
    ['brace behind a directive', '. {\n log }\n', '2: a closing brace must stand on a line'],
    ['one-line block', '. { whoami }', '1: a closing brace must stand on a line of its own'],
    ['words behind a brace', '. {\n cache {\n } 5\n}', '3: nothing may follow a closing brace'],
    [
      'brace on the next line',
      '. {\n cache\n {\n }\n}',
      '3: an opening brace must stand at the end',
    ],
    ['no key', '{\n log\n}', '1: a server block needs a zone in front of it'],
    ['comma before a brace', 'a.test, {\n}', '1: another zone must follow the comma'],
    ['comma at the end', '\na.test,', '2: another zone must follow the comma'],
    ['keys glued by a comma', 'a.test,b.test {\n}', '1: "a.test,b.test": put a blank behind'],
    ['import without argument', '. {\n import\n}', '2: import takes one argument'],
    ['import with two', 'import a b', '1: import takes one argument'],
    ['import with braces', '. {\n import a {\n }\n}', '2: import takes no braces'],
    ['missing file', 'import nope', '1: import: /etc/nope is neither a file nor a snippet'],
    ['pattern with two stars', 'import */*', '1: import: a pattern may hold one *'],
    ['pattern with brackets', 'import a[bc]', '1: import: a pattern may hold one *'],
    ['snippet twice', '(a) {\n}\n(a) {\n}', '3: snippet (a) is defined twice'],
    ['snippet without braces', '(a)\nlog', '1: snippet (a) needs a body in braces'],
    ['snippet not closed', '(a) {\n log {\n }\n', '1: the brace opened here is never closed'],
    ['snippet used early', 'import a\n(a) {\n}', '1: import: /etc/a is neither'],
    [
      'snippet in itself',
      '(a) {\n import a\n}\n. {\n import a\n}',
      '2: import cycle: (a) imports (a)',
    ],
  ];
  for (const [what, text, message] of table) {
    it(what, () => {
      const got = refusal(text);
      assert.ok(got.startsWith(`/etc/Corefile:${message}`), got);
    });
  }

  it('directory, unreadable file and cycle of files', () => {
    const files = { '/etc/d/a': 'import b', '/etc/d/b': '\nimport a' };
    assert.equal(
      refusal('import d', { files }),
      '/etc/Corefile:1: import: /etc/d is a directory; to import its files: /etc/d/*',
    );
    assert.equal(
      refusal('import d/a', { files }),
      '/etc/d/b:2: import cycle: /etc/d/a imports /etc/d/b imports /etc/d/a; remove one of them',
    );
  });

  it('what the file system refuses', () => {
    const denied = (): never => {
      throw new Error('EACCES: permission denied');
    };
    const table: [target: string, kind: ConfigFiles['kind']][] = [
      ['secret', denied],
      ['secret', () => 'file'],
      ['*', () => 'directory'],
    ];
    for (const [target, kind] of table) {
      const files = { kind, read: denied, list: denied };
      assert.throws(
        () => parseCorefile(`import ${target}`, { file: '/f', defaultPort: 53, env: {}, files }),
        new ConfigError(
          { file: '/f', line: 1 },
          `import: cannot read ${target}: EACCES: permission denied`,
          { cause: new Error('EACCES: permission denied') },
        ),
      );
    }
  });

  it('a brace of an imported file that closes a block of the importing one', () => {
    assert.equal(
      refusal('. {\n import a', { files: { '/etc/a': 'log\n}' } }),
      '/etc/a:2: this } closes nothing that was opened here: remove it',
    );
  });

  it('octets that are not UTF-8, at their line; not in comments', () => {
    const reason = 'holds octets that are not UTF-8: save the file as UTF-8';
    assert.equal(
      refusal('. {\n log # \ufffd\n fo\ufffdo\n}'),
      `/etc/Corefile:3: "fo\ufffdo" ${reason}`,
    );
    assert.equal(
      refusal('import a\n', { files: { '/etc/a': '\n\n. {\n log "\ufffd"\n}\n' } }),
      `/etc/a:4: "\ufffd" ${reason}`,
    );
  });

  it('a snippet that begins in an imported file and would end in the importing one', () => {
    assert.equal(
      refusal('import a\n}\n', { files: { '/etc/a': '\n(s) {\n log' } }),
      '/etc/a:2: the brace opened here is never closed: add a }',
    );
  });

  it('nesting without end', () => {
    assert.match(
      refusal('a {\n'.repeat(100_000)),
      /^\/etc\/Corefile:34: braces nest deeper than 32/,
    );
  });

  it('imports that multiply', () => {
    const doubling = Array.from({ length: 30 }, (_, i) =>
      i === 0 ? '(s0) {\n log\n}\n' : `(s${i}) {\n import s${i - 1}\n import s${i - 1}\n}\n`,
    ).join('');
    assert.match(
      refusal(`${doubling}. {\n import s29\n}`),
      /snippets are imported over 10000 times/,
    );
    const big = { '/etc/big': 'x '.repeat(100_000) };
    assert.match(refusal(`. {\n${'import big\n'.repeat(9)}}`, { files: big }), /over 500000 words/);
  });
});
