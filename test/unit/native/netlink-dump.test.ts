/** What `native/netlink/query.c` makes of the kernel's answer to a dump, which a library in front of libc makes up. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { hasHeaders } from '../../fuzz/addon/build.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;

/** The end of a dump without an error, as if it came from the kernel. */
const LIBRARY = `
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

ssize_t recvmsg(int fd, struct msghdr *header, int flags) {
  struct { struct nlmsghdr head; int error; } done = {
    {sizeof done, NLMSG_DONE, NLM_F_MULTI | FLAGS, 0, 0}, 0};
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  memcpy(header->msg_name, &kernel, sizeof kernel);
  header->msg_namelen = sizeof kernel;
  header->msg_flags = 0;
  memcpy(header->msg_iov[0].iov_base, &done, sizeof done);
  return sizeof done;
}`;

/** Asks for the links of the machine (RTM_GETLINK). */
const PROGRAM = `
const request = new Uint8Array(32);
const head = new DataView(request.buffer);
head.setUint32(0, 32, true);
head.setUint16(4, 18, true);
head.setUint16(6, 0x301, true);
require(process.argv[1])
  .queryNetlink(0, request, new Uint8Array(4), 0)
  .then((bytes) => console.log(bytes.length), (error) => console.log(error.code));`;

function outcome(folder: string, flags: string): string {
  writeFileSync(join(folder, 'kernel.c'), LIBRARY);
  const library = join(folder, `kernel-${flags}.so`);
  const args = ['-shared', '-fPIC', `-DFLAGS=${flags}`, '-o', library, join(folder, 'kernel.c')];
  assert.equal(spawnSync('cc', args).status, 0);
  const { stdout } = spawnSync(process.execPath, ['-e', PROGRAM, join(folder, 'init.node')], {
    encoding: 'utf8',
    env: { ...process.env, LD_PRELOAD: library },
  });
  return stdout.trim();
}

it('takes a dump as incomplete if only its last message says so', () => {
  if (!hasHeaders || spawnSync('cc', ['--version']).status !== 0) return;
  const folder = mkdtempSync(join(tmpdir(), 'nodens-dump-'));
  try {
    const args = [join(ROOT, 'compile.mjs'), folder, '-O1'];
    assert.equal(spawnSync(process.execPath, args).status, 0);
    assert.equal(outcome(folder, '0'), '0');
    assert.equal(outcome(folder, 'NLM_F_DUMP_INTR'), 'EINTR');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
