/** Every subcommand as the image runs it: the built program, not its source. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = join(ROOT, 'dist/agent/main.js');
const MANIFEST = join(ROOT, 'manifests/overlays/drop-in/node-local-dns.yaml');
const folder = mkdtempSync(join(tmpdir(), 'nodens-commands-'));
after(() => rmSync(folder, { recursive: true }));

function run(args: readonly string[], input = '') {
  const result = spawnSync(process.execPath, [MAIN, ...args], {
    ...{ input, encoding: 'utf8', timeout: 60_000, cwd: folder },
  });
  const { status: code, stdout: out, stderr: err } = result;
  return { code, out, err };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const COREFILE = '. {\n bind 127.0.0.1\n errors\n cache\n forward . 192.0.2.7\n}\n';
const CONFIG_MAP = JSON.stringify({
  kind: 'List',
  items: [{ kind: 'ConfigMap', metadata: { name: 'x' }, data: { Corefile: COREFILE } }],
});

describe('help and version', () => {
  for (const [args, expected] of [
    [['--help'], /nodens check \[FILE\]/],
    [['-h'], /nodens check \[FILE\]/],
    [['help'], /nodens check \[FILE\]/],
    [['-localip', '127.0.0.1', '--help'], /nodens check \[FILE\]/],
    [['agent', '--help'], /^nodens agent: /],
    [['init', '--help'], /^nodens init: .*\n[\s\S]*-cleanup/],
    [
      ['check', '--help'],
      /^nodens check: [\s\S]*check [^\n]*\[FILE\][\s\S]*-from-cluster-manifest/,
    ],
    [['doctor', '--help'], /^nodens doctor: /],
    [['--plugins'], /^ {2}dns\.acl$[\s\S]*^ {2}dns\.whoami$/m],
    [['-plugins'], /^ {2}dns\.forward$/m],
  ] as const) {
    it(args.join(' '), () => {
      const { code, out, err } = run(args);
      assert.deepEqual({ code, err }, { code: 0, err: '' });
      assert.match(out, expected);
    });
  }

  it('prints the version of package.json', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      version: string;
    };
    for (const word of ['version', '-v', '--version'])
      assert.ok(run([word]).out.startsWith(`nodens ${version} (node ${process.versions.node},`));
  });

  for (const args of [
    ['chekc'],
    ['agent', '-nope'],
    ['init', '-nope'],
    ['doctor', '-nope'],
    ['check', '/no/such'],
  ]) {
    it(`wrong usage is exit code 2: ${args.join(' ')}`, () => {
      const { code, err } = run(args);
      assert.equal(code, 2, err);
      assert.match(err, /^nodens( doctor)?: /);
      assert.doesNotMatch(err, /^ {4}at /m);
    });
  }
});

describe('check', () => {
  const valid: readonly [what: string, args: readonly string[], input?: string][] = [
    ['a Corefile', [file('Corefile', COREFILE)]],
    ['standard input', ['-'], COREFILE],
    ['a manifest', [MANIFEST]],
    ['a manifest under another name', ['-from-cluster-manifest', MANIFEST]],
    ['a ConfigMap as JSON', [file('map.json', CONFIG_MAP)]],
    ['YAML on standard input', ['-from-cluster-manifest', '-'], readFileSync(MANIFEST, 'utf8')],
    [
      'a pattern, HTTPS and a trace',
      [
        file(
          'parts',
          '. {\n bind 127.0.0.1\n rewrite name regex (a+)+[.]x {1}.y\n template IN HTTPS {\n' +
            '  answer "{{ .Name }} HTTPS 1 . alpn=h2"\n }\n trace localhost:9411\n whoami\n}\n',
        ),
      ],
    ],
  ];
  for (const [what, args, input] of valid) {
    it(`accepts ${what}`, () => {
      const { code, out, err } = run(['check', ...args], input);
      assert.equal(code, 0, err);
      assert.match(out, /^\S+:53 \{$/m);
      assert.doesNotMatch(err, /^ {4}at /m);
    });
  }

  for (const [name, text, expected] of [
    [
      'unknown',
      '. {\n forwrad . 192.0.2.1\n}\n',
      /^error: .*unknown:2: unknown directive "forwrad"/m,
    ],
    ['empty', '# nothing\n', /^error: .*empty:1: no server block/m],
    ['vanished', 'import nothing/*\n', /^error: .*vanished:1: no server block/m],
    ['not.yaml', 'a: [', /^nodens: .*not\.yaml:1: not YAML: /m],
  ] as const) {
    it(`refuses ${name}`, () => {
      const { code, err } = run(['check', file(name, text)]);
      assert.equal(code, name === 'not.yaml' ? 2 : 1);
      assert.match(err, expected);
    });
  }
});

describe('agent', () => {
  it('does not start on a Corefile without a server block, and names it', () => {
    const conf = file('Corefile.comments', '# all gone\n');
    const { code, out } = run(['agent', '-conf', conf, '-basecorefile=']);
    assert.equal(code, 1, out);
    assert.match(out, /"level":"error".*Corefile\.comments:1: no server block/);
  });
});
