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
import { argsOf, copiesOf, packagesOf, parseDockerfile, type Stage } from './dockerfile.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const stages = parseDockerfile(read('Dockerfile'));
const [build, final] = stages as [Stage, Stage];
const contextSources = stages
  .flatMap(copiesOf)
  .flatMap((copy) => (copy.from === undefined ? copy.sources : []));

/** Programs that nodens and the image's build run, with the package of each. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  conntrack: 'conntrack',
  'iptables-nft-restore': 'iptables',
  'ip6tables-nft-restore': 'iptables',
  'iptables-legacy-restore': 'iptables',
  'ip6tables-legacy-restore': 'iptables',
  setpriv: 'util-linux',
  setcap: 'libcap2-bin',
};

test('the image: a build stage on Node, a final stage on the same Debian without it', () => {
  assert.equal(stages.length, 2);
  const { devDependencies } = JSON.parse(read('package.json')) as {
    devDependencies: Record<string, string>;
  };
  const major = devDependencies.node?.split('.')[0];
  assert.deepEqual([build.name, build.base], ['build', `node:${major}-bookworm-slim`]);
  assert.equal(final.base, 'debian:bookworm-slim');
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
    for (const { from, sources } of copiesOf(final)) {
      assert.equal(from, build.name);
      for (const source of sources.filter((path) => path.startsWith('/src/')))
        assert.ok(existsSync(join(workdir, source.slice('/src/'.length))), source);
    }
    assert.ok(existsSync(join(workdir, 'dist/init/main.js')));
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
  assert.equal(defined('NODENS_NODE'), targetOf('/usr/local/bin/node'));
  assert.equal(defined('NODENS_MAIN'), `${targetOf('/src/dist')}/agent/main.js`);

  const entry = JSON.parse(argsOf(final, 'ENTRYPOINT')[0] ?? '[]') as string[];
  assert.deepEqual(entry, [targetOf('/src/nodens-launch')]);
  assert.match(
    argsOf(final, 'RUN').join('\n'),
    new RegExp(`setcap cap_net_bind_service=p ${entry[0]}`),
  );
  assert.deepEqual(argsOf(final, 'CMD'), []);
});

test('the bundle is ESM for node by the package.json beside it', () => {
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

test('every program that nodens runs is in a package that the final stage installs', () => {
  const packages = packagesOf(final);
  for (const [program, owner] of Object.entries(PROGRAMS))
    assert.ok(packages.includes(owner), `${program} needs ${owner}`);
});

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
  for (const [program, owner] of Object.entries(PROGRAMS)) {
    const listing = spawnSync('dpkg', ['-L', owner], { encoding: 'utf8' });
    if (listing.status !== 0) t.diagnostic(`${owner} is not installed here: contents not checked`);
    else
      assert.match(listing.stdout, new RegExp(`/s?bin/${program}$`, 'm'), `${program} in ${owner}`);
  }
});
