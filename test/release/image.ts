/** Builds the image from the Dockerfile of this tree, and looks whether all that it contains works. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGE_PROGRAMS, MAX_IMAGE_BYTES, VERSION_FLAGS } from '../support/image.ts';
import type { Bases, Buildah } from './buildah.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const IMAGE = 'localhost/nodens-release-check';
const REVISION = 'release-check';

/** A container of the image, and its files. */
interface Container {
  readonly name: string;
  readonly root: string;
}

interface Sbom {
  readonly components: readonly { readonly name: string; readonly purl: string }[];
}

export function buildImage(buildah: Buildah, { node, debian }: Bases): void {
  const args = { NODE_IMAGE: node, DEBIAN_IMAGE: debian, REVISION };
  const flags = Object.entries(args).flatMap(([name, value]) => [
    '--build-arg',
    `${name}=${value}`,
  ]);
  buildah.run(
    ['build', '--isolation', 'chroot', '--pull-never', ...flags, '-t', IMAGE, ROOT],
    true,
  );
}

/** Throws AssertionError for what the image lacks. Returns lines about it. */
export function checkImage(buildah: Buildah): { container: Container; lines: string[] } {
  const container = buildah.open(IMAGE);
  const inside = (...command: string[]): string =>
    buildah.run(['run', '--isolation', 'chroot', container.name, '--', ...command]);
  const bytes = Number(
    execFileSync('du', ['-sb', container.root], { encoding: 'utf8' }).split('\t')[0],
  );
  assert.ok(bytes <= MAX_IMAGE_BYTES, `${bytes} bytes of files`);
  for (const program of Object.keys(IMAGE_PROGRAMS))
    assert.notEqual(inside(program, VERSION_FLAGS[program] ?? '--version'), undefined, program);
  aboutNodens(inside);
  const { attributes, labels } = metadata(buildah, container);
  assert.equal(attributes, 'cap_net_bind_service=p');
  assert.equal(labels['org.opencontainers.image.revision'], REVISION);
  const { components } = JSON.parse(
    readFileSync(join(container.root, 'opt/nodens/sbom.cdx.json'), 'utf8'),
  ) as Sbom;
  for (const name of ['node', 'libc6', 'pino', ...new Set(Object.values(IMAGE_PROGRAMS))])
    assert.ok(
      components.some((one) => one.name === name),
      `${name} is in the list of components`,
    );
  for (const { name, purl } of components)
    if (purl.startsWith('pkg:deb/'))
      assert.ok(existsSync(join(container.root, 'usr/share/doc', name, 'copyright')), name);
  return {
    container,
    lines: [`${(bytes / 1e6).toFixed(0)} MB of files, ${components.length} components`],
  };
}

function aboutNodens(inside: (...command: string[]) => string): void {
  assert.match(inside('nodens', '--version'), /^nodens \d/);
  assert.match(inside('nodens', '--help'), /drop-in for node-local-dns/);
  assert.match(inside('nodens', 'init', '--help'), /-localip /);
  for (const addon of ['agent', 'init']) {
    const load = `console.log(Object.keys(require('/opt/nodens/dist/native/${addon}.node')).length > 0)`;
    assert.equal(inside('node', '-e', load), 'true');
  }
  // There is no nodens here, so doctor finds faults and ends with 1; that it ran all checks is what counts.
  const doctor = `const { spawnSync } = require('node:child_process');
    console.log(spawnSync('nodens', ['doctor'], { encoding: 'utf8' }).stdout)`;
  assert.match(inside('node', '-e', doctor), /^FAIL answers[\s\S]*^\S+ +kube-dns/m);
}

function metadata(
  buildah: Buildah,
  { root }: Container,
): { attributes: string; labels: Record<string, string> } {
  const inspected = JSON.parse(buildah.run(['inspect', '--type', 'image', IMAGE])) as {
    OCIv1: { config: { Labels: Record<string, string> } };
  };
  const text = execFileSync('getcap', [join(root, 'usr/local/bin/nodens')], { encoding: 'utf8' });
  return { attributes: text.trim().split(' ').at(-1) ?? '', labels: inspected.OCIv1.config.Labels };
}

/** Starters in `folder` for the image's programs, so that tests on this machine use the versions of the image. */
export function writeStarters({ root }: Container, folder: string): void {
  mkdirSync(folder);
  const [libraries] = execFileSync('find', [join(root, 'usr/lib'), '-name', 'libc.so.6'], {
    encoding: 'utf8',
  }).split('/libc.so.6');
  const loader = execFileSync('find', [`${libraries}`, '-name', 'ld-linux-*'], {
    encoding: 'utf8',
  });
  for (const program of Object.keys(IMAGE_PROGRAMS)) {
    const path = ['usr/sbin', 'usr/bin'].map((bin) => join(root, bin, program)).find(existsSync);
    // Only for iptables: `ip netns exec` starts programs of this machine.
    const plugins = program.includes('tables-') ? `XTABLES_LIBDIR=${libraries}/xtables ` : '';
    const start = `${loader.trim()} --library-path ${libraries} --argv0 ${program} ${path} "$@"`;
    writeFileSync(join(folder, program), `#!/bin/sh\n${plugins}exec ${start}\n`);
    chmodSync(join(folder, program), 0o755);
  }
}
