/** Reading the configuration's texts, and the places that its errors name. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentOptions } from '../../../../agent/cli/options.ts';
import { ConfigSource } from '../../../../agent/daemon/configuration/config-source.ts';
import { memoryFiles } from '../../../support/corefiles/memory-files.ts';
import { RecordingLogger } from '../../../support/services.ts';

const BASE = '/etc/coredns/Corefile.base';
const BLOCK = '. {\n  bind 127.0.0.1\n  whoami\n}\n';

function source(texts: Record<string, string>) {
  const log = new RecordingLogger();
  const reported = { problems: 0 };
  const files = { ...memoryFiles(texts) };
  const config = new ConfigSource(agentOptions({ localip: '127.0.0.1' }), {
    ...{ files, env: {}, log, isDryRun: true },
    onProblem: () => {
      reported.problems++;
    },
  });
  return { config, files, log, reported };
}

describe('a Corefile without a server block', () => {
  for (const [what, text] of [
    ['empty', ''],
    ['white space and comments', '\n# . {\n\t \n'],
    ['a snippet', '(a) {\n whoami\n}\n'],
    ['imports without a matching file', 'import /etc/coredns/custom/*.server\n'],
    ['imports of an empty file', 'import empty\n'],
  ] as const)
    it(`is refused: ${what}`, () => {
      const { config } = source({ [BASE]: text, '/etc/coredns/empty': '# nothing\n' });
      assert.throws(() => config.load(), {
        name: 'ConfigError',
        message:
          /^\/etc\/coredns\/Corefile\.base:1: no server block, so no query would be answered/,
      });
    });

  it('names the import that matches no file', () => {
    const { config } = source({ [BASE]: '\nimport custom/*.server\n' });
    assert.throws(
      () => config.load(),
      /no server block.*Corefile\.base:2: no file matches the import custom\/\*\.server/,
    );
  });

  it('is refused with stub domains beside it, too', () => {
    const stubs = JSON.stringify({ 'acme.local': ['192.0.2.1'] });
    const { config } = source({ [BASE]: '', '/etc/kube-dns/stubDomains': stubs });
    assert.throws(() => config.load(), /Corefile\.base:1: no server block/);
  });
});

describe('places', () => {
  it('of a block made from the kube-dns ConfigMap are those of the ConfigMap', () => {
    const stubs = '{\n  "b.local": ["192.0.2.1"],\n  "Acme.local": ["192.0.2.2"]\n}\n';
    for (const end of ['', '\n', '\n\n']) {
      const { config } = source({ [BASE]: BLOCK + end, '/etc/kube-dns/stubDomains': stubs });
      const [own, ...generated] = config.load().blocks;
      assert.deepEqual(own?.place, { file: BASE, line: 1 });
      assert.deepEqual(
        generated.map(({ keys, place, directives }) => [
          keys[0]?.zone,
          place,
          new Set(directives.map((directive) => directive.place.line)).size,
        ]),
        [
          ['acme.local.', { file: '/etc/kube-dns/stubDomains', line: 3 }, 1],
          ['b.local.', { file: '/etc/kube-dns/stubDomains', line: 2 }, 1],
        ],
      );
    }
  });
});

describe('a text that cannot be read for lack of a descriptor', () => {
  const texts = {
    [BASE]: `import more\n${BLOCK}`,
    '/etc/coredns/more': 'a.test {\n  bind 127.0.0.1\n  whoami\n}\n',
    '/etc/kube-dns/stubDomains': '{"acme.local": ["192.0.2.1"]}',
  };

  for (const path of Object.keys(texts))
    it(`is no error of the configuration: ${path}`, () => {
      const { config, files, log, reported } = source(texts);
      const { read } = files;
      const before = config.load().hash;
      files.read = (asked) => {
        if (asked !== path) return read(asked);
        throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
      };
      assert.throws(() => config.load(), { name: 'UnreadError', lack: 'descriptors' });
      assert.deepEqual([reported.problems, log.records], [0, []]);
      files.read = read;
      assert.equal(config.load().hash, before);
    });
});

describe('warnings and problems', () => {
  it('are logged once while the texts do not change', () => {
    const texts = { [BASE]: `import none/*\n${BLOCK}`, '/etc/kube-dns/stubDomains': '{' };
    const { config, log, reported } = source(texts);
    for (let look = 0; look < 3; look++) config.load();
    assert.equal(log.records.length, 2, JSON.stringify(log.records));
    assert.equal(reported.problems, 1);
    texts['/etc/kube-dns/stubDomains'] = '[';
    config.load();
    config.load();
    assert.equal(reported.problems, 2);
  });
});
