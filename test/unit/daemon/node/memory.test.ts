import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../../../../agent/base/limits.ts';
import { WAITER_BYTES } from '../../../../agent/cache/single-flight.ts';
import { heapFlags } from '../../../../agent/cli/heap.ts';
import {
  cacheBudget,
  cgroupLimitBytes,
  ledgerBudget,
  type ReadText,
  tcpConnectionBound,
  tcpWaitingBound,
} from '../../../../agent/daemon/node/memory.ts';
import { WAITING_QUERY_BYTES } from '../../../../agent/upstream/exchange/plan.ts';

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

  it('uses the smallest limit of all parent groups', () => {
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

  it('returns no limit where there is none', () => {
    assert.equal(cgroupLimitBytes(files({})), undefined);
    const unlimited = files({
      '/proc/self/cgroup': '9:memory:/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    });
    assert.equal(cgroupLimitBytes(unlimited), undefined);
  });
});

describe('cacheBudget', () => {
  it('uses the configured size', () => {
    assert.deepEqual(cacheBudget(5 * MIB, 128 * MIB), { bytes: 5 * MIB, reason: '-memory' });
  });

  it('reserves a share of the limit for the process', () => {
    assert.equal(cacheBudget(undefined, 128 * MIB).bytes, 32 * MIB);
    assert.equal(cacheBudget(undefined, 100 * MIB).bytes, 4 * MIB);
    assert.equal(cacheBudget(undefined, 1024 * MIB).bytes, 256 * MIB);
  });

  it('has a default where there is no limit', () => {
    assert.equal(cacheBudget(undefined, undefined).bytes, 32 * MIB);
  });
});

describe('ledgerBudget', () => {
  /** With the heap as a start sizes it (V8 counts its young generation three times), for the cache that belongs to the limit. */
  const budgetWithin = (limitBytes: number | undefined) => {
    const cacheBytes = cacheBudget(undefined, limitBytes).bytes;
    const [old = 0, young = 0] = heapFlags(cacheBytes, limitBytes).map((flag) =>
      Number(flag.replace(/\D+/, '')),
    );
    return ledgerBudget((old + 3 * young) * MIB, cacheBytes, limitBytes);
  };
  const queriesWithin = (limitBytes: number | undefined): number =>
    budgetWithin(limitBytes).clientBudgetBytes / WAITING_QUERY_BYTES;

  it('allows thousands of waiting queries, and no more than fit into the heap beside a full cache', () => {
    assert.ok(queriesWithin(undefined) > 15_000);
    for (const [limit, least, most] of [
      [96, 1_000, 1_500],
      [128, 1_200, 1_800],
      [192, 2_000, 3_000],
    ] as const) {
      const queries = queriesWithin(limit * MIB);
      assert.ok(queries > least && queries < most, `${limit} MiB: ${queries}`);
    }
  });

  it('allows 5,000 clients to wait for one name in the pod of our manifests', () => {
    assert.ok(budgetWithin(128 * MIB).clientBudgetBytes > 5_000 * WAITER_BYTES);
  });

  it('is never zero, and files have a part of the limit', () => {
    const { clientBudgetBytes, fileBudgetBytes } = ledgerBudget(16 * MIB, 64 * MIB, 60 * MIB);
    assert.ok(clientBudgetBytes >= 4 * MIB);
    assert.equal(fileBudgetBytes, 12 * MIB);
  });
});

describe('tcpConnectionBound', () => {
  const limits = (hard: string): ReadText => {
    return () =>
      `Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 ${hard}                files\n`;
  };

  it('reserves descriptors for upstreams and files', () => {
    assert.equal(tcpConnectionBound(limits('64')), 32);
    assert.equal(tcpConnectionBound(limits('1048576')), LIMITS.tcpConnections.default);
    assert.equal(
      tcpConnectionBound(() => undefined),
      LIMITS.tcpConnections.default,
    );
    assert.equal(tcpConnectionBound(limits('4')), LIMITS.tcpConnections.min);
    assert.equal(tcpWaitingBound(limits('64')), 16);
    assert.equal(tcpWaitingBound(limits('1048576')), 1_024);
    assert.equal(
      tcpWaitingBound(() => undefined),
      1_024,
    );
  });
});
