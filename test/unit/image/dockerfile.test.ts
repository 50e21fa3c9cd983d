import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { IMAGE_PROGRAMS } from '../../support/image.ts';
import { argsOf, copiesOf, packagesOf, parseDockerfile, type Stage } from './dockerfile.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const stages = parseDockerfile(read('Dockerfile'));
const [build, root, final] = stages as [Stage, Stage, Stage];
const contextSources = stages
  .flatMap(copiesOf)
  .flatMap((copy) => (copy.from === undefined ? copy.sources : []));

test('the image: a build on Node, what it needs of the same Debian, and nothing else', () => {
  assert.equal(stages.length, 3);
  const { devDependencies, version } = JSON.parse(read('package.json')) as {
    devDependencies: Record<string, string>;
    version: string;
  };
  const major = devDependencies.node?.split('.')[0];
  assert.deepEqual([build.name, build.base], ['build', `node:${major}-trixie-slim`]);
  assert.deepEqual([root.name, root.base], ['root', 'debian:trixie-slim']);
  assert.equal(final.base, 'scratch');
  const [labels = ''] = argsOf(final, 'LABEL');
  assert.match(labels, new RegExp(`org.opencontainers.image.version="${version}"`));
});

test('every source of a COPY is in the tree, and reaches the builder past .dockerignore', () => {
  const [everything, ...kept] = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(everything, '*');
  for (const source of contextSources) assert.ok(existsSync(join(ROOT, source)), source);
  assert.deepEqual(kept.map((line) => line.slice(1)).sort(), [...contextSources].sort());
});

test('the build needs only the copied files, and makes the files that the final stage copies', () => {
  const workdir = mkdtempSync(join(tmpdir(), 'nodens-image-'));
  try {
    for (const source of contextSources)
      cpSync(join(ROOT, source), join(workdir, source), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(workdir, 'node_modules'));
    for (const command of buildCommands()) execFileSync('sh', ['-c', command], inside(workdir));
    for (const { from, sources } of [...copiesOf(root), ...copiesOf(final)]) {
      if (from === root.name || from === undefined) continue;
      assert.equal(from, build.name);
      for (const source of sources.filter((path) => path.startsWith('/src/')))
        assert.ok(existsSync(join(workdir, source.slice('/src/'.length))), source);
    }
    assert.ok(existsSync(join(workdir, 'dist/init/main.js')));
    // For node the bundle is what the package.json nearest to it says.
    const { type } = JSON.parse(readFileSync(join(workdir, 'dist/agent/package.json'), 'utf8'));
    assert.equal(type, 'commonjs');
    assert.deepEqual(licensedPackages(workdir), mappedPackages(workdir));
  } finally {
    rmSync(workdir, { recursive: true });
  }
});

/** Packages, with their versions, whose licence text is in the bundle's file of licences. */
function licensedPackages(workdir: string): string[] {
  const text = readFileSync(join(workdir, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
  const [, ...parts] = text.split(/^=+\n/m);
  return parts.map((part) => {
    const [title = '', ...lines] = part.split('\n');
    assert.match(lines.join(' '), /copyright|licen[cs]e/i, title);
    return title.replace(/ \(.*\)$/, '');
  });
}

/** Packages, with their versions, that the source maps of the bundle name. */
function mappedPackages(workdir: string): string[] {
  const maps = globSync('dist/**/*.map', { cwd: workdir });
  const sources = maps.flatMap((map) => {
    const { sources } = JSON.parse(readFileSync(join(workdir, map), 'utf8')) as {
      sources: string[];
    };
    return sources;
  });
  const names = sources.map((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? '');
  return [...new Set(names)]
    .filter((name) => name !== '')
    .map((name) => {
      const { version } = JSON.parse(read(`node_modules/${name}/package.json`)) as {
        version: string;
      };
      return `${name} ${version}`;
    })
    .sort();
}

/** The commands of the build stage, without those that need a network. */
function buildCommands(): string[] {
  assert.deepEqual(argsOf(build, 'WORKDIR'), ['/src']);
  const commands = argsOf(build, 'RUN').filter((command) => !/apt-get|npm ci/.test(command));
  assert.equal(commands.length, 2);
  return commands;
}

function inside(cwd: string): { cwd: string; stdio: 'pipe'; env: NodeJS.ProcessEnv } {
  const bin = join(process.execPath, '..');
  return { cwd, stdio: 'pipe', env: { ...process.env, PATH: `${bin}:${process.env.PATH}` } };
}

test('the launcher execs what the final stage copies, and is the entry point with its capability', () => {
  const launcher = read('native/launcher/nodens-launch.c');
  const defined = (macro: string): string =>
    new RegExp(`^#define ${macro} "(.+)"$`, 'm').exec(launcher)?.[1] ?? '';
  const targetOf = (source: string): string | undefined =>
    copiesOf(final).find((copy) => copy.sources.includes(source))?.target;
  // The stage `root` has the programs where the image has them.
  const [node] = copiesOf(root).filter(({ sources }) => sources.includes(defined('NODENS_NODE')));
  assert.equal(node?.target, defined('NODENS_NODE'));
  assert.equal(defined('NODENS_MAIN'), `${targetOf('/src/dist')}/agent/main.js`);

  const entry = JSON.parse(argsOf(final, 'ENTRYPOINT')[0] ?? '[]') as string[];
  assert.deepEqual(entry, [targetOf('/src/nodens-launch')]);
  const commands = argsOf(final, 'RUN').map((command) => JSON.parse(command) as string[]);
  assert.deepEqual(commands[0], ['setcap', 'cap_net_bind_service=p', entry[0]]);
  assert.deepEqual(argsOf(final, 'CMD'), []);
});

test("init's bundle is ESM for node by the package.json beside it", () => {
  const target = copiesOf(final).find((copy) => copy.sources.includes('/src/package.json'))?.target;
  assert.equal(target, '/opt/nodens/');
  assert.equal((JSON.parse(read('package.json')) as { type: string }).type, 'module');
});

test('the image includes the licences of nodens and of Node', () => {
  const copied = copiesOf(final).flatMap(({ sources, target }) =>
    sources.map((source) => `${source} → ${target}`),
  );
  for (const file of ['LICENSE', 'NOTICE'])
    assert.ok(copied.includes(`/src/${file} → /opt/nodens/`), file);
  assert.ok(copied.includes('/usr/local/LICENSE → /opt/nodens/LICENSE-node'));
});

test('the image has a numeric user', () => {
  assert.match(argsOf(final, 'USER').join(), /^\d+:\d+$/);
});

test('every program that nodens runs is installed and copied', () => {
  const packages = packagesOf(root);
  const [, list = ''] = /collect\.sh \/image (.*?) &&/.exec(argsOf(root, 'RUN').join()) ?? [];
  for (const [program, owner] of Object.entries(IMAGE_PROGRAMS)) {
    assert.ok(packages.includes(owner) || owner === 'coreutils', `${program} needs ${owner}`);
    // collect.sh copies all names of iptables.
    assert.ok(list.split(' ').includes(program) || owner === 'iptables', `${program} is copied`);
  }
});

test('collect.sh takes programs with links, libraries, licences and entries of dpkg', () => {
  const workdir = mkdtempSync(join(tmpdir(), 'nodens-collect-'));
  try {
    const script = join(ROOT, 'deploy/image/collect.sh');
    execFileSync('sh', [script, workdir, 'ip', 'sleep'], { stdio: 'pipe' });
    for (const path of ['usr/bin/sleep', 'tmp', 'run', 'etc/passwd', 'etc/os-release'])
      assert.ok(existsSync(join(workdir, path)), path);
    const loaded = execFileSync('ldd', [join(workdir, 'usr/bin/sleep')], { encoding: 'utf8' });
    for (const [library] of loaded.matchAll(/\/[^ )]+/g))
      assert.ok(existsSync(join(workdir, library)), library);
    for (const name of ['coreutils', 'iproute2', 'libc6']) {
      const entry = readFileSync(join(workdir, 'var/lib/dpkg/status.d', name), 'utf8');
      assert.match(entry, new RegExp(`^Package: ${name}$`, 'm'));
      assert.ok(existsSync(join(workdir, 'usr/share/doc', name, 'copyright')), name);
    }
    const { components } = JSON.parse(listOf(workdir)) as { components: { purl: string }[] };
    const has = (start: string): boolean => components.some(({ purl }) => purl.startsWith(start));
    for (const start of ['pkg:npm/pino@', 'pkg:npm/%40opentelemetry/api@', 'pkg:deb/debian/libc6@'])
      assert.ok(has(start), start);
    assert.ok(has(`pkg:generic/node@${process.versions.node}`));
    assert.equal(new Set(components.map(({ purl }) => purl)).size, components.length);
  } finally {
    rmSync(workdir, { recursive: true });
  }
});

/** The list of components of an image whose root is `folder`. */
function listOf(folder: string): string {
  const inputs = ['package.json', 'dist/THIRD-PARTY-LICENSES.txt'].map((path) => join(ROOT, path));
  const script = join(ROOT, 'deploy/image/sbom.mjs');
  return execFileSync(process.execPath, [script, ...inputs, folder], { encoding: 'utf8' });
}

test('Debian has every package under this name, and each contains its expected programs', (t) => {
  const { stdout } = spawnSync('apt-cache', ['show', 'libc6', ...stages.flatMap(packagesOf)], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const known = new Set([...(stdout ?? '').matchAll(/^Package: (.*)$/gm)].map((m) => m[1]));
  if (known.size === 0) {
    t.diagnostic('no Debian package lists on this machine: names not checked');
    return;
  }
  for (const name of stages.flatMap(packagesOf)) assert.ok(known.has(name), name);
  for (const [program, owner] of Object.entries(IMAGE_PROGRAMS)) {
    const listing = spawnSync('dpkg', ['-L', owner], { encoding: 'utf8' });
    if (listing.status !== 0) t.diagnostic(`${owner} is not installed here: contents not checked`);
    else
      assert.match(listing.stdout, new RegExp(`/s?bin/${program}$`, 'm'), `${program} in ${owner}`);
  }
});
