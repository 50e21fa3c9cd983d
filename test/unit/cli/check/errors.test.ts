/** `nodens check` reports all errors, with their places, in each form of output. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { UsageError } from '../../../../agent/base/errors.ts';
import { check } from '../../../support/cli/check.ts';

const ROOT = new URL('../../../../', import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), 'nodens-check-errors-'));
after(() => rmSync(dir, { recursive: true }));

const file = (name: string, text: string): string => {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
};

const WRONG = `cluster.local:53 {
    errors
    forwrad . 10.0.0.1
    cache {
        success many
        serve_stael
        denial 100 5
        servfail 99h
    }
    bind 169.254.20.10
}
a.test:53 {
    bind no/interface
}
.:53 {
    bind 169.254.20.10
    import nowhere.conf
    errors one two
    forward . 10.0.0.2 {
        max_fails many
    }
    hosts ${dir}
}
.:53 {
    bind 169.254.20.10
    whoami
}
`;

/** Lines of \`WRONG\` on which something is wrong. */
const WRONG_LINES = [3, 5, 6, 8, 13, 17, 18, 20, 22, 24];

const lines = (err: string): number[] =>
  Array.from(err.matchAll(/^error: \S+?:(\d+): /gm), ([, line]) => Number(line));

describe('nodens check of a Corefile with many errors', () => {
  const path = file('wrong.corefile', WRONG);

  it('reports each, in the order of its lines', async () => {
    const { code, out, err } = await check(path);
    assert.equal(code, 1);
    assert.equal(out, '');
    assert.deepEqual(lines(err), WRONG_LINES, err);
  });

  it('reports those that are left when the first ones are repaired', async () => {
    const text = WRONG.replace('forwrad', 'forward').replace('import nowhere.conf', '');
    const { err } = await check(file('better.corefile', text));
    assert.deepEqual(
      lines(err),
      WRONG_LINES.filter((line) => line !== 3 && line !== 17),
      err,
    );
  });

  it('stops at a brace: what follows would mean something else', async () => {
    const { err } = await check(file('brace.corefile', `.:53 {\n  errors\n  cache }\n  nope\n}\n`));
    assert.deepEqual(lines(err), [3]);
    const none = await check(file('none.corefile', 'import nowhere.conf\n'));
    assert.deepEqual(lines(none.err), [1]);
  });

  it('has the warnings about single words, too', async () => {
    const text = '.:53 {\nbind 127.0.0.1\nnope\ncache 30s\nforward . fd00::1:53\n}\n';
    const { err } = await check(file('both.corefile', text));
    assert.match(err, /^warning: .*:4: cache 30s: this is a zone/m);
    assert.match(err, /^error: .*:3: unknown directive "nope"/m);
    assert.match(err, /^warning: .*:5: fd00::1:53 is an address as a whole/m);
  });

  it('-json has each with file and line', async () => {
    const { code, out, err } = await check('-json', path);
    assert.deepEqual([code, err], [1, '']);
    const { valid, findings, files } = JSON.parse(out) as {
      valid: boolean;
      findings: readonly { severity: string; file?: string; line?: number; message: string }[];
      files: readonly { file: string; effective?: string }[];
    };
    assert.equal(valid, false);
    const errors = findings.filter(({ severity }) => severity === 'error');
    assert.deepEqual(
      errors.map((one) => [one.file, one.line]),
      WRONG_LINES.map((n) => [path, n]),
    );
    assert.match(errors[0]?.message ?? '', /^unknown directive "forwrad"/);
    assert.deepEqual(files, [{ file: path }]);
  });

  it('-json of a valid one has the effective configuration', async () => {
    const good = file('good.corefile', '.:53 {\nbind 127.0.0.1\nerrors\nwhoami\n}\n');
    const { code, out } = await check('-json', good);
    const { files, ...rest } = JSON.parse(out) as { files: readonly { effective: string }[] };
    assert.deepEqual([code, rest], [0, { valid: true, findings: [] }]);
    assert.match(files[0]?.effective ?? '', /^\.:53 \{\n {4}bind 127\.0\.0\.1/);
  });

  it('-annotations has a command for each, with what it may not contain escaped', async () => {
    const odd = file('a,b.corefile', WRONG);
    const { out } = await check('-annotations', odd);
    const all = out.match(/^::error file=.*$/gm) ?? [];
    assert.equal(all.length, WRONG_LINES.length);
    const start = `::error file=${odd.replace(',', '%2C')},line=3::unknown directive`;
    assert.ok(all[0]?.startsWith(start), all[0]);
  });
});

describe('nodens check of a directory', () => {
  const folder = join(dir, 'folder');
  mkdirSync(join(folder, 'sub', '.hidden'), { recursive: true });
  const put = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  put('Corefile', '.:53 {\nbind 127.0.0.1\nerrors\nwhoami\n}\n');
  put('sub/stub.corefile', '.:53 {\nbind 127.0.0.1\nnope\n}\n');
  put('sub/service.yaml', 'kind: Service\nmetadata: {name: x}\n');
  put('sub/chart.yaml', '{{- if .Values.x }}\na: [\n{{- end }}\n');
  put('sub/broken.yml', 'kind: ConfigMap\na: [\n');
  put('sub/.hidden/Corefile', 'nope');
  put('README.md', 'Corefile');

  it('means every Corefile and manifest in it', async () => {
    const { code, out, err } = await check(folder);
    assert.equal(code, 1);
    assert.deepEqual(out.split('\n').filter(Boolean), [
      `${folder}/Corefile: valid`,
      `${folder}/sub/broken.yml: not valid`,
      `${folder}/sub/stub.corefile: not valid`,
    ]);
    assert.match(err, /sub\/broken\.yml:\d+: not YAML: /);
    assert.match(err, /sub\/stub\.corefile:3: unknown directive "nope"/);
    assert.equal(err.match(/^error: /gm)?.length, 2);
  });

  it('is refused without any', async () => {
    const empty = join(dir, 'empty');
    mkdirSync(empty);
    await assert.rejects(check(empty), UsageError);
  });

  it('follows links: a mounted ConfigMap is made of them, and a folder may contain itself', async () => {
    const mounted = join(dir, 'mounted');
    mkdirSync(join(mounted, '..2026_01'), { recursive: true });
    writeFileSync(join(mounted, '..2026_01/Corefile'), 'whoami\n');
    symlinkSync('..2026_01', join(mounted, '..data'));
    symlinkSync('..data/Corefile', join(mounted, 'Corefile'));
    symlinkSync('.', join(mounted, 'again'));
    symlinkSync('nowhere', join(mounted, 'lost.yaml'));
    const { out } = await check(mounted);
    assert.equal(out, `${mounted}/Corefile: valid\n`);
  });

  it('is refused if no file of it is about nodens, as a chart that is not rendered', async () => {
    const chart = join(dir, 'chart');
    mkdirSync(chart);
    writeFileSync(join(chart, 'daemonset.yaml'), '{{ .Values.x }}\n');
    writeFileSync(join(chart, 'corefile-refused.md'), 'A Corefile is refused.\n');
    await assert.rejects(check(chart), /helm template CHART \| nodens check -/);
  });

  for (const part of ['manifests', 'deploy'])
    it(`finds nothing wrong in ${part}/ of this tree, and warns of nothing`, async () => {
      const { code, out, err } = await check(`${ROOT}${part}`);
      assert.deepEqual({ code, err }, { code: 0, err: '' });
      assert.match(out, /base\/Corefile: valid\n.*base\/daemonset\.yaml: valid/);
      assert.match(out, /drop-in\/node-local-dns\.yaml: valid/);
    });
});

describe('nodens check as built', () => {
  const run = (args: readonly string[], input = '') => {
    const program = [`${ROOT}dist/agent/main.js`, 'check', ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, program, {
      ...{ input, encoding: 'utf8' },
    });
    return { status, stdout, stderr };
  };
  const manifest = `${ROOT}manifests/overlays/drop-in/node-local-dns.yaml`;

  it('takes a Corefile, a manifest, a directory and standard input', () => {
    const path = file('built.corefile', '.:53 {\nbind 127.0.0.1\nerrors\nwhoami\n}\n');
    for (const args of [[path], [manifest], [`${ROOT}manifests`], ['-json', manifest]]) {
      const { status, stderr } = run(args);
      assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
    }
    const corefile = run(['-'], '.:53 {\nbind 127.0.0.1\nerrors\nwhoami\n}\n');
    assert.equal(corefile.status, 0, corefile.stderr);
    assert.match(corefile.stdout, /^\.:53 \{/);
  });

  it('knows YAML and JSON on standard input', () => {
    const data = { Corefile: '.:53 {\nbind 127.0.0.1\nerrors\nnope\n}\n' };
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data };
    for (const text of [
      JSON.stringify(map, undefined, 2),
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  Corefile: |\n    .:53 {\n    nope\n    }\n',
    ]) {
      const { status, stderr } = run(['-'], text);
      assert.equal(status, 1);
      assert.match(stderr, /^error: \/dev\/stdin:\d+: unknown directive "nope"/m);
      assert.match(stderr, /\(ConfigMap x, key Corefile, line \d+\)/);
    }
  });

  it('reports all errors', () => {
    const { status, stderr } = run([file('built-wrong.corefile', WRONG)]);
    assert.equal(status, 1);
    assert.deepEqual(lines(stderr), WRONG_LINES);
  });
});
