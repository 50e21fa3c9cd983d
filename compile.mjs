/**
 * Install script: compiles the addon with one call of the C compiler. It never fails the install: without a
 * compiler or Node's headers the agent serves through node:dgram and node:net. Plain JavaScript, for whatever Node npm runs it on.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const sources = [
  'native/napi/addon.c',
  'native/process/companions.c',
  'native/process/pages.c',
  'native/tcp/steer.c',
  'native/udp/batch.c',
  'native/udp/receive.c',
  'native/udp/send.c',
  'native/udp/socket.c',
  'native/netfilter/lend.c',
].map((file) => join(root, file));
const output = join(root, 'build/nodens.node');

const headers = [
  join(root, 'node_modules/node/include/node'),
  join(dirname(process.execPath), '../include/node'),
  '/usr/include/node',
  '/usr/local/include/node',
].find((dir) => existsSync(join(dir, 'node_api.h')));

/** @param {string} reason */
function without(reason) {
  process.stdout.write(
    `nodens: addon not compiled: ${reason}; node:dgram and node:net will serve\n`,
  );
}

if (!sources.every((file) => existsSync(file))) {
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
    ...sources,
  ];
  const { status, error, stderr } = spawnSync(process.env.CC ?? 'cc', args, { encoding: 'utf8' });
  if (status !== 0) without(error?.message ?? stderr.trim());
}
