import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../../agent/base/clock.ts';
import { DnsError } from '../../../agent/base/errors.ts';
import type {
  UpstreamGroup,
  UpstreamGroupOptions,
} from '../../../agent/query/services/upstreams.ts';
import { createUpstreams } from '../../../agent/upstream/upstreams.ts';
import { ledgerWith } from '../../support/ledger.ts';
import { ReadableMetrics, RecordingLogger } from '../../support/services.ts';
import { groupOptions, question } from '../../support/upstream/fixture.ts';
import { type FakeServer, type Script, startServer } from '../../support/upstream/server.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const obedient: Script = (asked) => asked.answer({ address: ADDRESS });

interface Real {
  readonly server: FakeServer;
  readonly group: UpstreamGroup;
  readonly metrics: ReadableMetrics;
}

/** An upstream room on real sockets with one server; both are closed with the test. */
async function real(
  t: TestContext,
  script: Script,
  options: Partial<UpstreamGroupOptions> = {},
): Promise<Real> {
  const server = await startServer(script);
  const metrics = new ReadableMetrics();
  const room = createUpstreams({
    clock: systemClock,
    metrics,
    log: new RecordingLogger(),
    random: Math.random,
    ledger: ledgerWith(),
  });
  t.after(async () => {
    await room.close();
    await server.close();
  });
  const upstreams = [{ address: '127.0.0.1', port: server.port }];
  return { server, metrics, group: room.group(groupOptions({ upstreams, ...options })) };
}

test('UDP and TCP clients are answered over their own transport', async (t) => {
  const { group, server } = await real(t, obedient);
  for (const clientTransport of ['udp', 'tcp'] as const) {
    const { reply, transport } = await group.exchange(question({ clientTransport }), 4_000);
    assert.equal(transport, clientTransport);
    assert.equal(reply.records.length, 1);
  }
  assert.deepEqual(
    server.seen.map(({ transport }) => transport),
    ['udp', 'tcp'],
  );
});

test('a thousand questions at once over TCP share a handful of connections', async (t) => {
  const { group, server } = await real(t, obedient, { forceTcp: true });
  const asked = Array.from({ length: 1_000 }, () => group.exchange(question(), 4_000));
  const answered = await Promise.all(asked);
  assert.equal(answered.length, 1_000);
  // Four connections at a time, each for at least 64 queries.
  assert.ok(server.accepted <= 20, `${server.accepted} connections`);
});

test('replies in reverse order reach their clients', async (t) => {
  const waiting: Parameters<Script>[0][] = [];
  const { group } = await real(
    t,
    (asked) => {
      waiting.push(asked);
      if (waiting.length < 20) return;
      for (const each of waiting.reverse()) each.answer({ address: [10, 0, 0, each.head.type] });
    },
    { forceTcp: true },
  );
  const types = Array.from({ length: 20 }, (_, i) => 257 + i);
  const replies = await Promise.all(types.map((type) => group.exchange(question({ type }), 4_000)));
  const last = replies.map(({ reply }) => reply.wire.at(-1));
  assert.deepEqual(
    last,
    types.map((type) => type & 0xff),
  );
});

for (const how of ['close', 'reset'] as const) {
  test(`a server that answers ${how === 'close' ? 'with FIN' : 'with RST'} once is asked again, unnoticed by the client`, async (t) => {
    let isFirst = true;
    const { group, server } = await real(
      t,
      (asked) => {
        if (!isFirst) return asked.answer({ address: ADDRESS });
        isFirst = false;
        asked.hangUp(how);
      },
      { forceTcp: true, maxConnectAttempts: 1 },
    );
    const { reply } = await group.exchange(question(), 4_000);
    assert.equal(reply.records.length, 1);
    assert.equal(server.accepted, 2);
  });
}

test('a refused port is reported by the kernel, over both transports', async (t) => {
  const { group, server, metrics } = await real(t, obedient, { maxConnectAttempts: 1 });
  await server.close();
  for (const clientTransport of ['udp', 'tcp'] as const) {
    await assert.rejects(group.exchange(question({ clientTransport }), 4_000), (error) => {
      assert.ok(error instanceof DnsError);
      assert.match(error.message, /ECONNREFUSED/);
      return true;
    });
  }
  const failures = (transport: string): number =>
    metrics.value('nodens_upstream_failures_total', { transport });
  assert.deepEqual([failures('udp') > 0, failures('tcp') > 0], [true, true]);
});

test('an endless stream of garbage is dropped after a bound, which counts as a failed attempt', async (t) => {
  const rubbish = Buffer.alloc(64 * 1024);
  const { group, metrics } = await real(t, (asked) => asked.raw(rubbish), {
    forceTcp: true,
    maxConnectAttempts: 1,
  });
  await assert.rejects(group.exchange(question(), 4_000), /EPROTO/);
  const strays = metrics.value('nodens_upstream_mismatched_replies_total', { reason: 'short' });
  assert.ok(strays >= 1_000 && strays <= 2_000, `${strays}`);
});

test('the largest possible message fits', async (t) => {
  const { group } = await real(
    t,
    (asked) => {
      const framed = Buffer.alloc(2 + 65_535);
      framed.writeUInt16BE(65_535, 0);
      asked.message.copy(framed, 2);
      framed.writeUInt16BE(0x8180, 4);
      framed.writeUInt16BE(0, 12);
      asked.raw(framed);
    },
    { forceTcp: true },
  );
  const { reply } = await group.exchange(question(), 4_000);
  assert.equal(reply.rcode, 0);
});
