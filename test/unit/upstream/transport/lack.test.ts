/** A lack of resources on this node never counts against an upstream. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RCODE } from '../../../../agent/dns/iana.ts';
import { settle } from '../../../support/fake-clock.ts';
import {
  A,
  B,
  errorOf,
  type Fixture,
  fixture,
  groupOptions,
  question,
  replyOf,
  type Watched,
  watch,
} from '../../../support/upstream/fixture.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const LACKS = [
  ['EMFILE', 'descriptors'],
  ['ENFILE', 'descriptors'],
  ['ENOMEM', 'memory'],
  ['ENOBUFS', 'memory'],
  ['EADDRNOTAVAIL', 'ports'],
  ['EADDRINUSE', 'ports'],
  ['EAGAIN', 'ports'],
] as const;

interface Made {
  readonly network: Fixture;
  readonly lacks: string[];
}

function lacking(): Made {
  const lacks: string[] = [];
  const network = fixture({
    reportLack: (what, errno, during) => void lacks.push(`${what} ${errno} ${during}`),
  });
  return { network, lacks };
}

function assertUnblamed({ room, metrics, log }: Fixture): void {
  assert.deepEqual(new Set(room.summary().map(({ state }) => state)), new Set(['up']));
  assert.equal(metrics.value('nodens_upstream_failures_total'), 0);
  assert.equal(metrics.value('coredns_proxy_healthcheck_failures_total'), 0);
  assert.deepEqual(log.records, []);
}

/** Fails every socket that an exchange opens, while it opens any. */
async function failAll(network: Fixture, errno: string, asked: Watched): Promise<void> {
  const { sockets, clock } = network;
  for (let i = 0; i < 40 && asked.outcome === undefined; i++) {
    for (const each of sockets.datagrams.splice(0)) each.fail({ phase: 'connect', errno });
    for (const each of sockets.streams.splice(0)) each.close(errno);
    await clock.advance(25);
  }
}

describe('a lack of resources', () => {
  for (const [errno, what] of LACKS) {
    for (const transport of ['udp', 'tcp'] as const) {
      it(`${errno} over ${transport} ends the query with that reason and does not count against an upstream`, async () => {
        const { network, lacks } = lacking();
        const group = network.room.group(
          groupOptions({ upstreams: [A, B], forceTcp: transport === 'tcp' }),
        );
        for (let i = 0; i < 5; i++) {
          const asked = watch(group.exchange(question(), 4_000));
          await failAll(network, errno, asked);
          const error = errorOf(asked);
          assert.deepEqual([error.rcode, error.isLocal], [RCODE.SERVFAIL, true]);
          assert.equal(
            error.extended?.text,
            `no upstream was asked: this node lacks ${what} (${errno})`,
          );
        }
        const during =
          transport === 'udp'
            ? `ask ${A.address}:53 over udp`
            : `connect to ${A.address}:53 over tcp`;
        assert.ok(lacks.includes(`${what} ${errno} ${during}`), lacks.join());
        assertUnblamed(network);
      });
    }
  }

  for (const transport of ['udp', 'tcp'] as const)
    it(`names the address to send from over ${transport}, which this node does not have`, async () => {
      const { network, lacks } = lacking();
      const forceTcp = transport === 'tcp';
      const group = network.room.group(groupOptions({ forceTcp, sourceAddress: '192.0.2.9' }));
      const asked = watch(group.exchange(question(), 4_000));
      await failAll(network, 'EADDRNOTAVAIL', asked);
      assert.equal(
        errorOf(asked).extended?.text,
        'no upstream was asked: this node lacks the address 192.0.2.9 to send from (EADDRNOTAVAIL)',
      );
      const verb = transport === 'udp' ? 'ask' : 'connect to';
      const during = `${verb} ${A.address}:53 over ${transport} from 192.0.2.9`;
      assert.ok(lacks.includes(`address EADDRNOTAVAIL ${during}`), lacks.join());
      assertUnblamed(network);
    });

  it('has no effect once it has ended', async () => {
    for (const forceTcp of [false, true]) {
      const { network } = lacking();
      const { room, sockets, clock } = network;
      const group = room.group(groupOptions({ forceTcp }));
      for (let i = 0; i < 5; i++) {
        await failAll(network, 'EMFILE', watch(group.exchange(question(), 4_000)));
      }
      await clock.advance(25);
      const next = watch(group.exchange(question(), 4_000));
      if (forceTcp) {
        sockets.tcp(A.address).open();
        sockets.tcp(A.address).answer({ address: ADDRESS });
      } else sockets.udp(A.address).answer({ address: ADDRESS });
      await settle();
      assert.equal(replyOf(next).reply.rcode, RCODE.NOERROR);
      assertUnblamed(network);
    }
  });

  it('costs a query at most two sockets for each upstream', async () => {
    const { network, lacks } = lacking();
    const group = network.room.group(groupOptions({ upstreams: [A, B] }));
    await failAll(network, 'EMFILE', watch(group.exchange(question(), 4_000)));
    assert.ok(lacks.length <= 4, `${lacks.length} sockets`);
  });

  it('is the reason of a failed query whatever followed: the failure must not be remembered', async () => {
    const { network } = lacking();
    const { room, sockets, clock } = network;
    const asked = watch(
      room.group(groupOptions({ upstreams: [A, B] })).exchange(question(), 4_000),
    );
    sockets.udp(A.address).fail({ phase: 'connect', errno: 'EMFILE' });
    await clock.advance(4_100);
    assert.equal(errorOf(asked).isLocal, true);
  });

  it('does not hide a true failure of an upstream', async () => {
    const { network } = lacking();
    const { room, sockets, metrics } = network;
    const asked = watch(
      room.group(groupOptions({ upstreams: [A, B] })).exchange(question(), 4_000),
    );
    sockets.udp(A.address).fail({ phase: 'connect', errno: 'EMFILE' });
    sockets.udp(B.address).fail({ phase: 'wait', errno: 'ECONNREFUSED' });
    assert.deepEqual(
      room.summary().map(({ state }) => state),
      ['up', 'suspect'],
    );
    assert.equal(metrics.value('nodens_upstream_failures_total'), 1);
    assert.equal(asked.outcome, undefined);
  });

  it('fails no probe: an upstream that is down recovers when a probe is sent', async () => {
    const { network } = lacking();
    const { room, sockets, clock, metrics } = network;
    watch(room.group(groupOptions()).exchange(question(), 4_000));
    await clock.advance(6_000);
    const state = (): string => room.summary()[0]?.state ?? '';
    assert.equal(state(), 'down');
    const failures = metrics.value('coredns_proxy_healthcheck_failures_total');
    for (let i = 0; i < 20; i++) {
      for (const each of sockets.datagrams.splice(0))
        each.fail({ phase: 'connect', errno: 'EMFILE' });
      await clock.advance(500);
    }
    // One probe was in flight when the lack began.
    assert.ok(metrics.value('coredns_proxy_healthcheck_failures_total') <= failures + 1);
    for (let i = 0; i < 20 && state() === 'down'; i++) {
      await clock.advance(100);
      const socket = sockets.datagrams.at(-1);
      if (socket !== undefined && socket.queries.length > 0) socket.answer({});
    }
    assert.equal(state(), 'up');
  });

  it('does not change the transport: a transport without sockets is not one on which the upstream is unresponsive', async () => {
    const { network } = lacking();
    const group = network.room.group(groupOptions({ maxConnectAttempts: 2 }));
    for (let i = 0; i < 5; i++) {
      const asked = watch(group.exchange(question(), 4_000));
      await answerOverTcpAlone(network, asked);
      assert.equal(replyOf(asked).transport, 'tcp');
    }
    watch(group.exchange(question(), 4_000));
    assert.equal(network.sockets.datagrams.length, 1, 'asked over UDP first');
  });
});

/** Until `asked` has ended: there is no socket for UDP, and streams answer. */
async function answerOverTcpAlone({ sockets, clock }: Fixture, asked: Watched): Promise<void> {
  for (let i = 0; i < 40 && asked.outcome === undefined; i++) {
    for (const each of sockets.datagrams.splice(0))
      each.fail({ phase: 'connect', errno: 'EMFILE' });
    const stream = sockets.streams.at(-1);
    stream?.open();
    if (stream !== undefined && stream.queries.length > 0) stream.answer({ address: ADDRESS });
    await clock.advance(25);
  }
}
