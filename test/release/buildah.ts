/** buildah with storage of its own, and stand-ins for the images that the Dockerfile builds on. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Names of the two bases, as the Dockerfile's arguments take them. */
export interface Bases {
  readonly node: string;
  readonly debian: string;
}

const INCLUDES = ['/usr/include/node', '/usr/local/include/node'];

/** Containers and images in `folder`, which belongs to it; without a daemon, and without namespaces of its own. */
export class Buildah {
  readonly #flags: readonly string[];

  constructor(folder: string) {
    const storage = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
    this.#flags = [...storage, '--storage-driver', 'vfs'];
  }

  /** Its output. `isShown`: printed while it runs, and not returned. Throws where it fails. */
  run(args: readonly string[], isShown = false): string {
    const text = execFileSync('buildah', [...this.#flags, ...args], {
      encoding: 'utf8',
      env: { ...process.env, BUILDAH_ISOLATION: 'chroot' },
      stdio: ['ignore', isShown ? 'inherit' : 'pipe', isShown ? 'inherit' : 'pipe'],
      maxBuffer: 64 * 1024 * 1024,
    });
    return (text ?? '').trim();
  }

  /** A new container of `image` and the folder with its files. */
  open(image: string): { readonly name: string; readonly root: string } {
    const name = this.run(['from', '--pull-never', image]);
    return { name, root: this.run(['mount', name]) };
  }

  /** Makes `image` of `base` and what `change` does to its files. */
  derive(image: string, base: string, change: (root: string) => void, config: string[] = []): void {
    const { name, root } = this.open(base);
    change(root);
    if (config.length > 0) this.run(['config', ...config, name]);
    this.run(['umount', name]);
    this.run(['commit', '--quiet', name, image]);
    this.run(['rm', name]);
  }
}

/**
 * Debian's `suite` from its mirror in place of `debian:SUITE-slim`, and the same with this Node and its npm in place of
 * `node:MAJOR-SUITE-slim`. npm asks the registry that it asks here, and trusts the authorities that it trusts here.
 */
export function standInBases(buildah: Buildah, folder: string, suite: string): Bases {
  const bases = { node: 'localhost/nodens-node', debian: 'localhost/nodens-debian' };
  const tree = join(folder, suite);
  execFileSync('debootstrap', ['--variant=minbase', suite, tree], { stdio: 'inherit' });
  rmSync(join(tree, 'var/cache/apt/archives'), { recursive: true });
  buildah.derive(bases.debian, 'scratch', (root) => {
    execFileSync('cp', ['-a', `${tree}/.`, root]);
    mkdirSync(join(root, 'var/cache/apt/archives/partial'), { recursive: true });
  });
  rmSync(tree, { recursive: true });
  const authorities = process.env.NODE_EXTRA_CA_CERTS ?? '';
  const copied = '/etc/ssl/host-authorities.pem';
  buildah.derive(
    bases.node,
    bases.debian,
    (root) => {
      const local = (path: string): string => join(root, 'usr/local', path);
      for (const part of ['bin', 'include', 'lib/node_modules', 'etc'])
        mkdirSync(local(part), { recursive: true });
      cpSync(process.execPath, local('bin/node'));
      const include = INCLUDES.find((path) => existsSync(join(path, 'node_api.h')));
      if (include === undefined) throw new Error(`no node_api.h in ${INCLUDES.join(' or ')}`);
      cpSync(include, local('include/node'), { recursive: true, dereference: true });
      cpSync(npmFolder(), local('lib/node_modules/npm'), { recursive: true });
      symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', local('bin/npm'));
      writeFileSync(local('etc/npmrc'), `registry=${registry()}\n`);
      writeFileSync(local('LICENSE'), "Stands in for Node's licences.\n");
      if (authorities !== '') {
        mkdirSync(join(root, dirname(copied)), { recursive: true });
        cpSync(authorities, join(root, copied), { dereference: true });
      }
    },
    authorities === '' ? [] : ['--env', `NODE_EXTRA_CA_CERTS=${copied}`],
  );
  return bases;
}

/** The npm that started this program. */
function npmFolder(): string {
  const cli = process.env.npm_execpath;
  if (cli === undefined) throw new Error('start it by npm run release-check');
  return dirname(dirname(cli));
}

function registry(): string {
  return execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
}
