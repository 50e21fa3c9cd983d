import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { NftOwnerProcess } from '../../../../../init/firewall/nft/owner-process.ts';
import { FakeClock } from '../../../../support/fake-clock.ts';
import { eventually } from '../../../../support/netns/netns.ts';

/** Records each line with its process id, fails to list any table, and is silent after `hang`. */
const FAKE_NFT = `#!/bin/sh
while read -r line; do
  echo "$$ $line" >> "$NFT_LINES"
  case "$line" in
    hang) while :; do sleep 0.01; done ;;
    wrong) printf 'Error: syntax error\\nwrong\\n^^^^^\\n' >&2 ;;
    list*)
      printf 'Error: No such file or directory\\n%s\\n' "$line" >&2
      sleep 0.03
      printf '     ^^^^\\n' >&2 ;;
  esac
done
`;

let folder: string;
let path: string | undefined;
let owner: NftOwnerProcess;
let clock: FakeClock;
let losses = 0;

/** Process id and text of each line that a child has read, without the end marks. */
const received = (): string[][] =>
  readFileSync(join(folder, 'lines'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.includes('nodens_done_'))
    .map((line) => line.split(' '));

const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodens-owner-'));
  writeFileSync(join(folder, 'nft'), FAKE_NFT);
  writeFileSync(join(folder, 'lines'), '');
  chmodSync(join(folder, 'nft'), 0o755);
  path = process.env.PATH;
  process.env.PATH = `${folder}:${path}`;
  process.env.NFT_LINES = join(folder, 'lines');
  clock = new FakeClock();
  losses = 0;
  owner = new NftOwnerProcess(clock, () => losses++);
});

afterEach(async () => {
  await owner.drop();
  process.env.PATH = path;
  rmSync(folder, { recursive: true });
});

describe('the nft owner process', () => {
  it('is one child for all lines, and its error messages reject the line', async () => {
    await owner.execute('one');
    await assert.rejects(owner.execute('wrong'), /Error: syntax error/);
    await owner.execute('two');
    const lines = received();
    assert.deepEqual(
      lines.map(([, line]) => line),
      ['one', 'wrong', 'two'],
    );
    assert.equal(new Set(lines.map(([pid]) => pid)).size, 1);
  });

  it('a late last line of an error message does not reject the next line', async () => {
    for (const line of ['one', 'two', 'three']) await owner.execute(line);
    await assert.rejects(owner.execute('wrong'), /nft -i: Error: syntax error/);
    await owner.execute('four');
  });

  it('init kills a child that does not answer, and reports the loss of its table', async () => {
    const hung = owner.execute('hang');
    await eventually('the child has the line', () => received().length === 1);
    const rejected = assert.rejects(hung, /no answer/);
    await clock.advance(5_000);
    await rejected;
    await eventually('the loss is reported', () => losses === 1);
    await owner.execute('after');
    assert.equal(received().length, 2);
    assert.equal(losses, 1);
  });

  it('every drop resolves when the child has ended, and rejects the pending line', async () => {
    const hung = assert.rejects(owner.execute('hang'), /dropped/);
    await eventually('the child has the line', () => received().length === 1);
    const pid = owner.pid as number;
    const drops = [owner.drop(), owner.drop()];
    for (const drop of drops) {
      await drop;
      assert.equal(isAlive(pid), false);
    }
    await hung;
    assert.equal(losses, 0, 'a drop was reported as a loss');
  });

  it('a drop rejects the lines that wait; a later line goes to the next child', async () => {
    await owner.execute('one');
    const first = owner.pid;
    const waiting = assert.rejects(owner.execute('before'), /dropped/);
    void owner.drop();
    await owner.execute('after');
    await waiting;
    assert.deepEqual(
      received().map(([, line]) => line),
      ['one', 'after'],
    );
    assert.notEqual(owner.pid, first);
  });

  it('a child that ends by itself is reported as a loss', async () => {
    await owner.execute('one');
    process.kill(owner.pid as number, 'SIGKILL');
    await eventually('the loss is reported', () => losses === 1);
  });
});
