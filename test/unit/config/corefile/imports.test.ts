import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { recordReads } from '../../../../agent/config/corefile/imports.ts';
import { parseCorefile } from '../../../../agent/config/corefile/parser.ts';
import { memoryFiles } from '../../../support/corefiles/memory-files.ts';
import { parseText as parse } from '../../../support/corefiles/parse.ts';
import { outline } from './outline.ts';

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
