/** Files at the path of the snapshot that nodens does not trust. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BlockIdentities } from '../../../../agent/daemon/configuration/block-ids.ts';
import { SnapshotFile } from '../../../../agent/daemon/state/snapshot-file.ts';
import { parseText } from '../../../support/corefiles/parse.ts';
import { addressRecord, Bench } from '../../cache/harness.ts';

const [BLOCK] = parseText('.:53 {\ncache\n}\n').blocks;
/** Only root can change the owner of a file. */
const isRoot = process.getuid?.() === 0;
let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodens-trust-'));
  path = join(folder, 'cache.snapshot');
});
afterEach(() => rmSync(folder, { recursive: true }));

function made(): { bench: Bench; file: SnapshotFile } {
  const bench = new Bench();
  const identities = new BlockIdentities(() => {});
  bench.open({}, { id: identities.idOf(BLOCK as never, ['127.0.0.1']) });
  bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60)] });
  const { clock, metrics, log } = bench.services;
  const parts = { path, cache: bench.cache, identities, clock, metrics, log };
  return { bench, file: new SnapshotFile({ ...parts, maxBytes: 1_000_000 }) };
}

/** A good snapshot at `path`. */
async function writeGood(): Promise<void> {
  const { bench, file } = made();
  await bench.ask();
  await file.write();
}

interface Case {
  readonly what: string;
  readonly why: RegExp;
  readonly make: () => Promise<void> | void;
}

const CASES: readonly Case[] = [
  {
    what: 'a symbolic link to a good one',
    why: /is a symbolic link/,
    make: async () => {
      await writeGood();
      execFileSync('mv', [path, join(folder, 'good')]);
      symlinkSync(join(folder, 'good'), path);
    },
  },
  {
    what: 'a FIFO that is never written to',
    why: /is a FIFO/,
    make: () => void execFileSync('mkfifo', [path]),
  },
  {
    what: 'a good one that every user may write',
    why: /can be written by others than its owner \(mode 0666\)/,
    make: async () => {
      await writeGood();
      chmodSync(path, 0o666);
    },
  },
];
for (const each of CASES) refused(each);
if (isRoot)
  refused({
    what: 'a good one of another user',
    why: /belongs to uid 1000/,
    make: async () => {
      await writeGood();
      chownSync(path, 1_000, 1_000);
    },
  });

function refused({ what, why, make }: Case): void {
  it(`${what} is not read but moved aside and logged, and a new snapshot replaces it`, async () => {
    await make();
    const { bench, file } = made();
    assert.equal(file.load(), 0);
    assert.equal(bench.count('nodens_snapshot_errors_total', { reason: 'untrusted' }), 1);
    const warnings = bench.services.log.records.filter(({ level }) => level === 'warn');
    assert.equal(warnings.length, 1);
    const [warning] = warnings;
    assert.ok(warning !== undefined);
    const { fields, message } = warning;
    assert.match(message, why);
    assert.ok(message.endsWith(`moved to ${path}.untrusted`), message);
    assert.deepEqual([fields.path, fields.reason], [path, 'untrusted']);
    assert.match(String(fields.remedy), new RegExp(`then remove ${path}.untrusted`));
    assert.ok(lstatSync(`${path}.untrusted`) !== undefined && !existsSync(path));
    await bench.ask();
    await file.write();
    assert.equal(made().file.load(), 1);
  });
}

describe('a file that cannot be moved aside', () => {
  it('is left and ignored, and a snapshot is written all the same', async () => {
    execFileSync('mkfifo', [path]);
    mkdirSync(`${path}.untrusted`);
    const { bench, file } = made();
    assert.equal(file.load(), 0);
    const warning = bench.services.log.records.find(({ level }) => level === 'warn');
    assert.match(warning?.message ?? '', /; ignored: /);
    assert.match(String(warning?.fields.remedy), new RegExp(`then remove ${path};`));
    await bench.ask();
    await file.write();
    assert.ok(lstatSync(path).isFile());
  });

  it('may be a folder with files in it', () => {
    mkdirSync(path);
    writeFileSync(join(path, 'notes'), 'kept');
    const { bench, file } = made();
    assert.equal(file.load(), 0);
    const warning = bench.services.log.records.find(({ level }) => level === 'warn');
    assert.match(
      warning?.message ?? '',
      /is a folder.*ignored: it is a folder, which nodens does not move$/,
    );
    assert.equal(readFileSync(join(path, 'notes'), 'utf8'), 'kept');
  });
});

describe('a folder that every user may write', () => {
  it('is logged with the remedy; our own file in it is read', async () => {
    await writeGood();
    chmodSync(folder, 0o777);
    const { bench, file } = made();
    assert.equal(file.load(), 1);
    assert.equal(bench.count('nodens_snapshot_errors_total', { reason: 'untrusted' }), 1);
    const warning = bench.services.log.records.find(({ level }) => level === 'warn');
    assert.match(warning?.message ?? '', /can be written by every user of the node/);
    assert.match(String(warning?.fields.remedy), new RegExp(`chmod o-w ${folder}`));
  });

  it('is accepted with the sticky bit, as /tmp has it', () => {
    chmodSync(folder, 0o1777);
    const { bench, file } = made();
    assert.equal(file.load(), 0);
    assert.deepEqual(bench.services.log.records, []);
  });
});
