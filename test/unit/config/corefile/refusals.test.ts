import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import type { ConfigFiles } from '../../../../agent/config/corefile/imports.ts';
import { parseCorefile } from '../../../../agent/config/corefile/parser.ts';
import { refusal } from './outline.ts';

describe('refusals name the place and the fix', () => {
  const table: [what: string, text: string, message: string][] = [
    ['unclosed quote', '. {\n log "a\n}', '2: this quote is never closed: add a "'],
    ['unclosed block', '# x\n. {\n log\n', '2: the brace opened here is never closed: add a }'],
    ['unclosed body', '. {\n cache {\n', '2: the brace opened here is never closed: add a }'],
    ['stray brace', '. {\n}\n}\na {\n}', '3: this } has no opening brace: remove it'],
    ['stray brace behind a zone', 'a }', '1: this } has no opening brace'],
    ['brace behind a directive', '. {\n log }\n', '2: a closing brace must be on a line'],
    ['one-line block', '. { whoami }', '1: a closing brace must be on a line of its own'],
    ['words behind a brace', '. {\n cache {\n } 5\n}', '3: nothing may follow a closing brace'],
    ['brace on the next line', '. {\n cache\n {\n }\n}', '3: an opening brace must be at the end'],
    ['no key', '{\n log\n}', '1: a server block needs a zone in front of it'],
    ['comma before a brace', 'a.test, {\n}', '1: another zone must follow the comma'],
    ['comma at the end', '\na.test,', '2: another zone must follow the comma'],
    ['keys glued by a comma', 'a.test,b.test {\n}', '1: "a.test,b.test": put a blank after'],
    ['import without argument', '. {\n import\n}', '2: import takes one argument'],
    ['import with two', 'import a b', '1: import takes one argument'],
    ['import with braces', '. {\n import a {\n }\n}', '2: import takes no braces'],
    ['missing file', 'import nope', '1: import: /etc/nope is neither a file nor a snippet'],
    ['pattern with two stars', 'import */*', '1: import: a pattern may contain one *'],
    ['pattern with brackets', 'import a[bc]', '1: import: a pattern may contain one *'],
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

  it('what the file system rejects', () => {
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
      '/etc/a:2: this } has no opening brace: remove it',
    );
  });

  it('bytes that are not UTF-8, at their line; not in comments', () => {
    const reason = 'contains bytes that are not UTF-8: save the file as UTF-8';
    assert.equal(
      refusal('. {\n log # \ufffd\n fo\ufffdo\n}'),
      `/etc/Corefile:3: "fo\ufffdo" ${reason}`,
    );
    assert.equal(
      refusal('import a\n', { files: { '/etc/a': '\n\n. {\n log "\ufffd"\n}\n' } }),
      `/etc/a:4: "\ufffd" ${reason}`,
    );
  });

  it('a snippet that starts in an imported file and would end in the importing one', () => {
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
