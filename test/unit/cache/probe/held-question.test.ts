import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GAVE_WAY, GaveWayError } from '../../../../agent/base/errors.ts';
import { WAITER_BYTES } from '../../../../agent/cache/single-flight.ts';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { gaveWayAnswer } from '../../../../agent/query/error-answer.ts';
import { settle } from '../../../support/fake-clock.ts';
import { addressRecord, DEFAULTS, nxdomain, servfail } from '../harness.ts';
import { Cluster, ON, PROOF, proven, random, ZONE } from './cluster.ts';

const OUTSIDE = `api.example.com.${ZONE}`;
const COM = `com.${ZONE}`;

describe('a question that is held', () => {
  it('goes on after 50 ms, and for a second no other is held', async () => {
    const cluster = await proven();
    cluster.roundTripMs = 100;
    const { clock } = cluster.bench.services;
    const answer = cluster.bench.waiting({ name: OUTSIDE });
    await clock.advance(49);
    assert.deepEqual(cluster.asked, [`${COM} 1`]);
    await clock.advance(1);
    assert.deepEqual(cluster.asked, [`${COM} 1`, `${OUTSIDE} 1`]);
    const other = cluster.bench.waiting({ name: `x.net.${ZONE}` });
    assert.deepEqual(cluster.asked.slice(2), [`net.${ZONE} 1`, `x.net.${ZONE} 1`]);
    await clock.advance(100);
    assert.deepEqual([(await answer).rcode, (await other).rcode], [RCODE.NXDOMAIN, RCODE.NXDOMAIN]);
    await clock.advance(1_000);
    assert.equal(cluster.probes('late'), 1);
    // The late denial counts all the same, after a check of a single name.
    void cluster.bench.waiting({ name: `check.com.${ZONE}` });
    assert.equal(cluster.bench.hit({ name: `x.example.com.${ZONE}` }).rcode, RCODE.NXDOMAIN);
    const held = cluster.bench.asked.length;
    void cluster.bench.waiting({ name: `x.org.${ZONE}` });
    assert.deepEqual(cluster.asked.slice(held), [`org.${ZONE} 1`]);
  });

  it('is held 50 ms in all, however many names above it exist', async () => {
    const cluster = new Cluster(ON, random);
    cluster.roundTripMs = 40;
    const web = `web.other.svc.${ZONE}`;
    cluster.zone.add(web);
    const answer = cluster.bench.waiting({ name: web });
    await cluster.bench.services.clock.advance(50);
    assert.deepEqual(cluster.asked, [`${PROOF} 1`, `other.svc.${ZONE} 1`, `${web} 1`]);
    assert.equal((await cluster.settled(answer)).rcode, RCODE.NOERROR);
  });

  for (const [how, response] of [
    ['is answered SERVFAIL', servfail],
    ['fails', undefined],
  ] as const) {
    it(`is asked when its probe ${how}, and for seconds no other is held`, async () => {
      const cluster = await proven();
      const { bench } = cluster;
      bench.upstream = (query) => {
        if (response === undefined) throw new Error('no upstream');
        return bench.reply(query, response);
      };
      const ask = async (name: string): Promise<unknown> => {
        const asked = (async () => bench.ask({ name }))();
        return Promise.allSettled([cluster.settled(asked)]);
      };
      for (const tld of ['com', 'net']) await ask(`a.${tld}.${ZONE}`);
      assert.deepEqual(cluster.asked, [`${COM} 1`, `a.com.${ZONE} 1`, `a.net.${ZONE} 1`]);
      assert.equal(cluster.probes('failed'), 1);
      await bench.services.clock.advance(5_000);
      await ask(`a.org.${ZONE}`);
      assert.deepEqual(cluster.asked.slice(3), [`org.${ZONE} 1`, `a.org.${ZONE} 1`]);
    });
  }

  it('is not held again by a probe that goes on to be late', async () => {
    const cluster = await proven();
    cluster.roundTripMs = 3_000;
    const { clock } = cluster.bench.services;
    const ask = (host: string): void => void cluster.bench.waiting({ name: `${host}.${COM}` });
    ask('a');
    await clock.advance(1_100);
    ask('b');
    await clock.advance(50);
    ask('c');
    assert.deepEqual(
      cluster.asked,
      [COM, `a.${COM}`, `b.${COM}`, `c.${COM}`].map((name) => `${name} 1`),
    );
  });

  it('is asked when its probe is checked in vain, and the next one is probed', async () => {
    const cluster = await proven();
    const { bench } = cluster;
    bench.upstream = (query) =>
      query.type === TYPE.A ? cluster.answer(query) : bench.reply(query, servfail);
    await cluster.settled(bench.ask({ name: OUTSIDE, type: TYPE.MX }));
    assert.equal(cluster.probes('failed'), 1);
    await cluster.ask(`x.net.${ZONE}`);
    assert.equal(cluster.probes('denied'), 1);
  });

  const thrown = (): never => {
    throw GAVE_WAY;
  };
  for (const [how, refused] of [
    ['an error', thrown],
    ['an answer', gaveWayAnswer],
  ] as const) {
    it(`is asked when the client of its probe gives way, and the next one is probed: ${how}`, async () => {
      const cluster = await proven();
      const { bench } = cluster;
      let isFull = true;
      bench.upstream = (query) => {
        if (isFull && query.isInternal && query.nameText === COM) return refused(query);
        return cluster.answer(query);
      };
      await cluster.ask(OUTSIDE);
      assert.equal(cluster.probes('deferred'), 1);
      isFull = false;
      await cluster.ask(`x.com.${ZONE}`);
      assert.equal(cluster.probes('denied'), 1);
    });
  }

  it('counts against its client, and gives way', async () => {
    const cluster = new Cluster(ON, random);
    const { ledger, clock } = cluster.bench.services;
    const timers = clock.pendingTimers;
    const [one, two] = ['one', 'two'].map((behalfOf) =>
      cluster.bench.waiting({ name: OUTSIDE, behalfOf }),
    ) as [Promise<unknown>, Promise<{ rcode: number }>];
    assert.equal(ledger.share('one').bytes, WAITER_BYTES);
    ledger.share('one').giveWay();
    await assert.rejects(one, GaveWayError);
    assert.equal(cluster.bench.count('nodens_cache_waiters_rejected_total'), 1);
    assert.equal((await cluster.settled(two)).rcode, RCODE.NXDOMAIN);
    await settle();
    assert.equal(ledger.usedBytes, 0);
    assert.equal(clock.pendingTimers, timers);
  });

  it('counts as a miss once, and as a denial by a name above it', async () => {
    const cluster = new Cluster(ON, random);
    const asks = [OUTSIDE, OUTSIDE, `b.${OUTSIDE}`].map(async (name) =>
      cluster.bench.ask({ name }),
    );
    await cluster.settled(Promise.all(asks));
    assert.equal(cluster.bench.count('coredns_cache_requests_total'), 3);
    assert.equal(cluster.bench.count('coredns_cache_misses_total'), 3);
    // The first check is for the name that comes next.
    await cluster.ask(`c.${OUTSIDE}`);
    assert.equal(cluster.bench.count('nodens_cache_nxdomain_cut_total'), 1);
  });
});

it('an answer of the chain itself needs no promise where a name is not held', () => {
  const cluster = new Cluster(ON, random);
  cluster.bench.upstream = (query) => cluster.bench.reply(query, { answer: [addressRecord(60)] });
  assert.equal(cluster.bench.hit({ name: `web.${ZONE}` }).rcode, RCODE.NOERROR);
  cluster.bench.upstream = (query) => cluster.bench.reply(query, nxdomain());
  assert.equal(cluster.bench.hit({ name: `gone.${ZONE}` }).rcode, RCODE.NXDOMAIN);
  assert.equal(DEFAULTS.nxdomainProbe.length, 0);
});
