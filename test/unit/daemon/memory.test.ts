import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../../../agent/base/limits.ts';
import { heapFlags } from '../../../agent/cli/heap.ts';
import {
  cacheBudget,
  cgroupLimitBytes,
  inFlightBound,
  waitingBound,
} from '../../../agent/daemon/memory.ts';

const MIB = 2 ** 20;
const files =
  (contents: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    contents[path];

describe('cgroupLimitBytes', () => {
  it('reads the limit of a cgroup v2', () => {
    const read = files({
      '/proc/self/cgroup': '0::/kubepods/pod1\n',
      '/sys/fs/cgroup/kubepods/pod1/memory.max': `${192 * MIB}\n`,
    });
    assert.equal(cgroupLimitBytes(read), 192 * MIB);
  });

  it('reads the limit of a cgroup v1 among other controllers', () => {
    const read = files({
      '/proc/self/cgroup': '3:cpu,cpuacct:/x\n9:memory:/kubepods/pod1\n',
      '/sys/fs/cgroup/memory/kubepods/pod1/memory.limit_in_bytes': `${128 * MIB}\n`,
    });
    assert.equal(cgroupLimitBytes(read), 128 * MIB);
  });

  it('takes the smallest limit on the way up', () => {
    const read = files({
      '/proc/self/cgroup': '0::/a/b\n',
      '/sys/fs/cgroup/a/b/memory.max': 'max\n',
      '/sys/fs/cgroup/a/memory.max': `${100 * MIB}\n`,
      '/sys/fs/cgroup/memory.max': `${200 * MIB}\n`,
    });
    assert.equal(cgroupLimitBytes(read), 100 * MIB);
  });

  it('finds its own root where the path is the host’s', () => {
    const read = files({
      '/proc/self/cgroup': '0::/kubepods/pod1/container\n',
      '/sys/fs/cgroup/memory.max': `${64 * MIB}\n`,
    });
    assert.equal(cgroupLimitBytes(read), 64 * MIB);
  });

  it('knows no limit', () => {
    assert.equal(cgroupLimitBytes(files({})), undefined);
    const unlimited = files({
      '/proc/self/cgroup': '9:memory:/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    });
    assert.equal(cgroupLimitBytes(unlimited), undefined);
  });
});

describe('cacheBudget', () => {
  it('does what it is told', () => {
    assert.deepEqual(cacheBudget(5 * MIB, 128 * MIB), { bytes: 5 * MIB, reason: '-memory' });
  });

  it('leaves the process its share of a limit', () => {
    assert.equal(cacheBudget(undefined, 128 * MIB).bytes, 32 * MIB);
    assert.equal(cacheBudget(undefined, 100 * MIB).bytes, 4 * MIB);
    assert.equal(cacheBudget(undefined, 1024 * MIB).bytes, 256 * MIB);
  });

  it('has a default where there is no limit', () => {
    assert.equal(cacheBudget(undefined, undefined).bytes, 32 * MIB);
  });
});

describe('inFlightBound', () => {
  const { default: most, min } = LIMITS.inFlightQueries;
  /** With the heap as a start sizes it (V8 counts its young generation three times), for the cache that belongs to the limit. */
  const boundWithin = (limitBytes: number | undefined): number => {
    const cacheBytes = cacheBudget(undefined, limitBytes).bytes;
    const [old = 0, young = 0] = heapFlags(cacheBytes, limitBytes).map((flag) =>
      Number(flag.replace(/\D+/, '')),
    );
    return inFlightBound((old + 3 * young) * MIB, cacheBytes);
  };

  it('is all of it where nothing limits memory', () => {
    assert.equal(boundWithin(undefined), most);
  });

  it('is what a small heap has room for beside a full cache', () => {
    const [small, usual] = [boundWithin(128 * MIB), boundWithin(192 * MIB)];
    assert.ok(small > 1_000 && small < 2_000, `${small}`);
    assert.ok(usual > small && usual < most / 4, `${usual}`);
  });

  it('is never nothing', () => {
    assert.equal(inFlightBound(16 * MIB, 64 * MIB), min);
  });

  it('leaves room for clients that join: 5,000 of one name in the smallest pod', () => {
    assert.ok(waitingBound(boundWithin(128 * MIB)) >= 5_000);
    assert.equal(waitingBound(most), most);
  });
});
