/**
 * `npm run release-check`: what `npm test` has no time for, before an image is published. Needs root, Debian and a network;
 * works in a temporary folder, which it removes.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasProgram, installPackages, isRoot, missingPackages } from '../support/packages.ts';
import { runFiles } from '../support/run-files.ts';
import { Buildah, standInBases } from './buildah.ts';
import { checkCross } from './cross.ts';
import { buildImage, checkImage, writeStarters } from './image.ts';

const HELP = `npm run release-check -- [options]

  cross   the addons and the launcher compile for arm64, without a warning
  image   the image is built from the Dockerfile, by buildah; its size, programs, addons, labels and list of components
  tools   tests of rules and doctor with the programs of that image

  --node-image NAME --debian-image NAME   build on these instead of stand-ins that debootstrap makes
  --help
`;

const ROOT = new URL('../../', import.meta.url).pathname;
/** Programs with their packages, beside those of the other tests. */
const PROGRAMS: Readonly<Record<string, string>> = {
  buildah: 'buildah',
  debootstrap: 'debootstrap',
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu',
};
const TOOL_TESTS = [
  'netns/init/rules.test.ts',
  'netns/init/packets.test.ts',
  'netns/doctor.test.ts',
];

/** The suite of Debian in the Dockerfile's default base. */
function suite(): string {
  const [, name] = /^ARG DEBIAN_IMAGE=debian:(\w+)-slim$/m.exec(
    readFileSync(join(ROOT, 'Dockerfile'), 'utf8'),
  ) ?? [''];
  if (name === undefined)
    throw new Error('the Dockerfile has no ARG DEBIAN_IMAGE=debian:SUITE-slim');
  return name;
}

async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      'node-image': { type: 'string' },
      'debian-image': { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true || !isRoot) {
    process.stdout.write(isRoot ? HELP : `needs root\n\n${HELP}`);
    return isRoot ? 0 : 2;
  }
  const missing = Object.keys(PROGRAMS).filter((program) => !hasProgram(program));
  const packages = [...missing.map((program) => PROGRAMS[program] ?? ''), ...missingPackages()];
  if (packages.length > 0) installPackages([...packages, 'libc6-dev-arm64-cross']);
  const folder = mkdtempSync(join(tmpdir(), 'nodens-release-'));
  try {
    const lines = checkCross(join(folder, 'arm64'));
    const buildah = new Buildah(folder);
    const { 'node-image': node, 'debian-image': debian } = values;
    const isReal = node !== undefined && debian !== undefined;
    if (isReal) for (const image of [node, debian]) buildah.run(['pull', image], true);
    const bases = isReal ? { node, debian } : standInBases(buildah, folder, suite());
    buildImage(buildah, bases);
    const checked = checkImage(buildah);
    writeStarters(checked.container, join(folder, 'programs'));
    const PATH = `${join(folder, 'programs')}:${process.env.PATH}`;
    const { isGood } = await runFiles(TOOL_TESTS, { PATH });
    process.stdout.write(`\n${[...lines, ...checked.lines].join('\n')}\n`);
    process.stdout.write(`the programs of the image: ${isGood ? 'ok' : 'FAILED'}\n`);
    return isGood ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
