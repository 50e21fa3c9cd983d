/**
 * Install script: compiles the UDP addon with one call of the C compiler. It never fails the install: without a
 * compiler or Node's headers the agent serves through node:dgram. Plain JavaScript, for whatever Node npm runs it on.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const source = join(root, 'agent/server/udp/batch.c');
const output = join(root, 'build/batch.node');

const headers = [
  join(root, 'node_modules/node/include/node'),
  join(dirname(process.execPath), '../include/node'),
  '/usr/include/node',
  '/usr/local/include/node',
].find((dir) => existsSync(join(dir, 'node_api.h')));

/** @param {string} reason */
function without(reason) {
  process.stdout.write(`nodens: UDP addon not compiled: ${reason}; node:dgram will serve\n`);
}

if (!existsSync(source)) {
  // A build stage that copies sources later calls this again (`npm run build`).
} else if (headers === undefined) {
  without('no node_api.h found');
} else {
  mkdirSync(dirname(output), { recursive: true });
  const args = [
    '-O2',
    '-Wall',
    '-Wextra',
    '-shared',
    '-fPIC',
    `-I${headers}`,
    '-o',
    output,
    source,
  ];
  const { status, error, stderr } = spawnSync(process.env.CC ?? 'cc', args, { encoding: 'utf8' });
  if (status !== 0) without(error?.message ?? stderr.trim());
}
