/** nodens as built starts with any file at the path of its snapshot, and reads only its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { type HostileAgent, type Ports, startAgent } from '../support/hostile/agent.ts';
import { ask } from '../support/hostile/pod/neighbour.ts';

/** Only root can change the owner of a file. */
const isRoot = process.getuid?.() === 0;
const folder = mkdtempSync(join(tmpdir(), 'nodens-state-files-'));
/** A snapshot with an entry. */
const good = join(folder, 'good');
const path = join(folder, 'cache.snapshot');

/** The same port for all agents here: a snapshot restores only answers of the same listener. */
let keptPort = 0;

const corefile = ({ dns, metrics, upstream }: Ports): string =>
  [dns, keptPort]
    .map(
      (port) => `.:${port} {
  bind 127.0.0.1
  cache
  prometheus 127.0.0.1:${metrics}
  forward . 127.0.0.1:${upstream}
}
`,
    )
    .join('');
const start = (snapshot: string): Promise<HostileAgent> =>
  startAgent({ corefile, args: ['-snapshot', snapshot] });

before(async () => {
  keptPort = await freePort();
  const agent = await start(good);
  await ask(keptPort);
  await agent.stop();
});
after(() => rmSync(folder, { recursive: true }));

const restored = (agent: HostileAgent): Promise<number> =>
  agent.metric('nodens_snapshot_restored_entries');
const refusals = (agent: HostileAgent): Promise<number> =>
  agent.metric('nodens_snapshot_errors_total', { reason: 'untrusted' });

it('the agent restores its own snapshot', async () => {
  copyFileSync(good, path);
  const agent = await start(path);
  try {
    assert.deepEqual([(await restored(agent)) > 0, await refusals(agent)], [true, 0]);
  } finally {
    await agent.stop();
    rmSync(path);
  }
});

interface Case {
  readonly what: string;
  readonly why: RegExp;
  readonly make: () => void;
}

const CASES: readonly Case[] = [
  {
    what: 'a FIFO',
    why: /is a FIFO, not a regular file/,
    make: () => void execFileSync('mkfifo', [path]),
  },
  {
    what: 'a link to a snapshot',
    why: /is a symbolic link, not a regular file/,
    make: () => symlinkSync(good, path),
  },
  {
    what: 'a snapshot that every user may write',
    why: /can be written by others than its owner/,
    make: () => {
      copyFileSync(good, path);
      chmodSync(path, 0o666);
    },
  },
];

function refused({ what, why, make }: Case): void {
  it(`the agent renames ${what}, counts and logs it`, async () => {
    make();
    const agent = await start(path);
    try {
      assert.deepEqual([await restored(agent), await refusals(agent)], [0, 1]);
      const lines = agent.log().split('\n');
      const reported = lines.filter((line) => line.includes('"event":"snapshot"'));
      assert.equal(reported.length, 1);
      assert.match(reported[0] ?? '', why);
      assert.equal(JSON.parse(reported[0] ?? '').path, path);
      assert.ok(!existsSync(path));
    } finally {
      await agent.stop();
      for (const each of [path, `${path}.untrusted`]) rmSync(each, { force: true });
    }
  });
}

for (const each of CASES) refused(each);
if (isRoot)
  refused({
    what: 'a snapshot of another user',
    why: /belongs to uid 1000, not to uid 0 or root/,
    make: () => {
      copyFileSync(good, path);
      chownSync(path, 1_000, 1_000);
    },
  });
