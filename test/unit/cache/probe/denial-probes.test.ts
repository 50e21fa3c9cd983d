import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { DEFAULTS, ttlIn } from '../harness.ts';
import { Cluster, DENIAL_SECONDS, ON, PROOF, proven, random, ZONE } from './cluster.ts';

const OUTSIDE = `api.example.com.${ZONE}`;
const COM = `com.${ZONE}`;
const RANDOM = `${'a'.repeat(16)}.`;
const MINUTES_MS = 600_000;

/** A cluster in which COM is known to be empty and denied. */
async function known(): Promise<Cluster> {
  const cluster = new Cluster(ON, random);
  await cluster.ask(OUTSIDE);
  // The next check of a single name is a second away.
  await cluster.ask(`spends.the.check.com.${ZONE}`);
  cluster.bench.asked.length = 0;
  return cluster;
}

describe('a probe', () => {
  it('asks for the shortest name that may be missing, then for a random name and the own one below it', async () => {
    const cluster = await proven();
    assert.equal((await cluster.ask(OUTSIDE)).rcode, RCODE.NXDOMAIN);
    assert.deepEqual(cluster.asked, [`${COM} 1`, `${RANDOM}${COM} 1`, `${OUTSIDE} 1`]);
    assert.equal(cluster.probes('denied'), 1);
  });

  it('denies each other name below that, of each type, without a question', async () => {
    const cluster = await known();
    for (const name of [OUTSIDE, `www.example.com.${ZONE}`, `a.b.c.d.com.${ZONE}`]) {
      assert.equal(cluster.bench.hit({ name, type: TYPE.AAAA }).rcode, RCODE.NXDOMAIN, name);
    }
    assert.deepEqual(cluster.asked, []);
  });

  it('answers a name again from its own entry, no longer than the denial lives', async () => {
    const cluster = await known();
    const { bench } = cluster;
    const cuts = () => bench.count('nodens_cache_nxdomain_cut_total');
    const before = cuts();
    await bench.services.clock.advance(2_000);
    // Spends the check of a single name.
    await cluster.ask(OUTSIDE, TYPE.TXT);
    const name = `www.example.com.${ZONE}`;
    const [first, second] = [bench.hit({ name }), bench.hit({ name })];
    assert.equal(cuts(), before + 1);
    assert.equal(first, second);
    assert.equal(decode(second.wire).questions?.[0]?.name, name.slice(0, -1));
    assert.equal(ttlIn(second), DENIAL_SECONDS);
    assert.ok(second.isLowerCase);
    assert.ok((second.bornMs ?? 0) <= bench.services.clock.nowMs() - 2_000);
    await bench.services.clock.advance(3_000);
    cluster.zone.add(name);
    assert.equal((await cluster.ask(name)).rcode, RCODE.NOERROR);
  });

  it('is renewed shortly before its end if it is used, and no question waits', async () => {
    const cluster = await known();
    const { clock } = cluster.bench.services;
    const hit = (host: string): number => cluster.bench.hit({ name: `${host}.com.${ZONE}` }).rcode;
    // The check of a single name, which has no answer yet.
    await clock.advance(3_500);
    await cluster.ask(`check.com.${ZONE}`);
    cluster.bench.asked.length = 0;
    await clock.advance(900);
    for (const host of ['a', 'b', 'c']) assert.equal(hit(host), RCODE.NXDOMAIN);
    assert.deepEqual(cluster.asked, [`${COM} 1`]);
    await clock.advance(3_000);
    await cluster.ask(`check2.com.${ZONE}`);
    for (const host of ['a', 'd']) assert.equal(hit(host), RCODE.NXDOMAIN);
    assert.deepEqual(cluster.asked, [`${COM} 1`, `check2.com.${ZONE} 1`]);
  });

  it('is not evicted by the names that its denial answers', async () => {
    const denial = { ...DEFAULTS.denial, capacity: 50 };
    const cluster = new Cluster({ ...ON, denial, cluster: { domains: [], denial } }, random);
    await cluster.ask(OUTSIDE);
    await cluster.ask(`check.com.${ZONE}`);
    cluster.bench.asked.length = 0;
    for (let i = 0; i < 500; i++) cluster.bench.hit({ name: `n${i}.com.${ZONE}` });
    assert.deepEqual(cluster.asked, []);
  });

  it('is asked again when the denial has expired, without the checks', async () => {
    const cluster = await known();
    await cluster.bench.services.clock.advance(5_000);
    // This question is the check of a single name; the next one finds the denial.
    for (const host of ['a', 'b']) await cluster.ask(`${host}.com.${ZONE}`);
    assert.deepEqual(cluster.asked, [`${COM} 1`, `a.com.${ZONE} 1`]);
  });

  it('sees a namespace within the time that its denial lives', async () => {
    const cluster = new Cluster(ON, random);
    await cluster.ask(`x.new.svc.${ZONE}`);
    await cluster.ask(`y.new.svc.${ZONE}`);
    cluster.zone.add(`web.new.svc.${ZONE}`);
    assert.equal((await cluster.ask(`web.new.svc.${ZONE}`)).rcode, RCODE.NXDOMAIN);
    await cluster.bench.services.clock.advance(5_000);
    assert.equal((await cluster.ask(`web.new.svc.${ZONE}`)).rcode, RCODE.NOERROR);
  });

  it('is not needed for the shortest name itself, and asks down to a name that exists', async () => {
    const cluster = new Cluster(ON, random);
    await cluster.ask(COM);
    assert.deepEqual(cluster.asked, [`${COM} 1`]);
    const web = `web.other.svc.${ZONE}`;
    cluster.zone.add(web);
    cluster.bench.asked.length = 0;
    assert.equal((await cluster.ask(web)).rcode, RCODE.NOERROR);
    assert.deepEqual(cluster.asked, [`${PROOF} 1`, `other.svc.${ZONE} 1`, `${web} 1`]);
    assert.equal(cluster.probes('exists'), 2);
  });

  it('is not needed where an answer has shown that a name exists', async () => {
    const cluster = new Cluster(ON, random);
    await cluster.ask(`web.default.svc.${ZONE}`);
    cluster.bench.asked.length = 0;
    await cluster.ask(`other.default.svc.${ZONE}`, TYPE.AAAA);
    assert.deepEqual(cluster.asked, [`other.default.svc.${ZONE} 28`]);
  });

  it('is not asked for names of a Service, for underscored names, nor for the server of the SOA', async () => {
    const cluster = new Cluster(ON, random);
    const web = `web.default.svc.${ZONE}`;
    await cluster.ask(web);
    for (const name of [
      `_http._tcp.${web}`,
      `ns.dns.${ZONE}`,
      `x._udp.${ZONE}`,
      `p.https.tcp.${web}`,
    ]) {
      cluster.bench.asked.length = 0;
      await cluster.ask(name, TYPE.SRV);
      assert.deepEqual(cluster.asked, [`${name} ${TYPE.SRV}`]);
    }
  });

  it('is off without zones, outside of them, and for DNSSEC', async () => {
    const cluster = new Cluster({ nxdomainProbe: [nameFromText(`sub.${ZONE}`)] });
    await cluster.ask(OUTSIDE);
    assert.deepEqual(cluster.asked, [`${OUTSIDE} 1`]);
    const other = await known();
    await other.settled(other.bench.ask({ name: `x.${OUTSIDE}`, dnssecOk: true }));
    assert.deepEqual(other.asked, [`x.${OUTSIDE} 1`]);
  });

  it('stops if too many names are probed at once', async () => {
    const cluster = await proven();
    const asks = Array.from({ length: 300 }, async (_, i) =>
      cluster.bench.ask({ name: `x.tld${i}.${ZONE}` }),
    );
    await cluster.settled(Promise.all(asks));
    assert.equal(cluster.probes('denied'), 100);
    assert.equal(cluster.probes('deferred'), 200);
    assert.equal(cluster.bench.asked.length, 300 + 2 * 100);
  });

  it('leaves probes to other clients if one asks for too many names', async () => {
    const cluster = await proven();
    const ask = (client: string, count: number): Promise<unknown> =>
      cluster.settled(
        Promise.all(
          Array.from({ length: count }, async (_, i) =>
            cluster.bench.ask({ name: `x.of-${client}-${i}.${ZONE}`, behalfOf: client }),
          ),
        ),
      );
    await ask('attacker', 200);
    assert.equal(cluster.probes('denied'), 30);
    assert.equal(cluster.probes('deferred'), 170);
    await ask('victim', 5);
    assert.equal(cluster.probes('denied'), 35);
  });
});

describe('a server that answers below a name that it denies', () => {
  it('by a pattern: each name is answered, and there are no probes for minutes', async () => {
    const cluster = new Cluster(ON, random);
    cluster.zone.answerBelow(COM);
    assert.equal((await cluster.ask(OUTSIDE)).rcode, RCODE.NOERROR);
    assert.equal(cluster.probes('answers_below'), 1);
    await cluster.bench.services.clock.advance(MINUTES_MS / 2);
    cluster.bench.asked.length = 0;
    for (let i = 0; i < 10; i++) {
      assert.equal((await cluster.ask(`n${i}.${COM}`)).rcode, RCODE.NOERROR);
    }
    await cluster.ask(COM);
    assert.equal((await cluster.ask(`x.${COM}`)).rcode, RCODE.NOERROR);
    assert.equal(cluster.bench.asked.length, 12);
  });

  it('where a name has no records: no probes for minutes, and no wrong answer', async () => {
    const cluster = new Cluster(ON, random);
    cluster.zone.deniesEmpty = true;
    await cluster.ask(OUTSIDE);
    assert.deepEqual(cluster.asked, [`${PROOF} 1`, `${OUTSIDE} 1`]);
    assert.equal(cluster.probes('answers_below'), 1);
    await cluster.bench.services.clock.advance(MINUTES_MS / 2);
    cluster.bench.asked.length = 0;
    const web = `web.${PROOF}`;
    for (const name of [`www.com.${ZONE}`, PROOF, web]) await cluster.ask(name);
    assert.deepEqual(cluster.asked, [`www.com.${ZONE} 1`, `${PROOF} 1`, `${web} 1`]);
    assert.equal(cluster.bench.hit({ name: web }).rcode, RCODE.NOERROR);
    await cluster.bench.services.clock.advance(MINUTES_MS / 2);
    cluster.zone.deniesEmpty = false;
    for (const host of ['a', 'b', 'c']) await cluster.ask(`${host}.com.${ZONE}`);
    assert.equal(cluster.probes('denied'), 1);
  });

  it('for a single name: its first question is asked, and ends the probes', async () => {
    const cluster = new Cluster(ON, random);
    cluster.zone.addLonely(OUTSIDE);
    assert.equal((await cluster.ask(OUTSIDE)).rcode, RCODE.NOERROR);
    assert.equal(cluster.probes('answers_below'), 1);
  });

  it('for a single name that is asked later: a check finds it, and the denial does not count any more', async () => {
    const cluster = await known();
    cluster.zone.addLonely(OUTSIDE);
    const asks = [];
    await cluster.bench.services.clock.advance(1_000);
    for (let i = 0; i < 3; i++) asks.push((await cluster.ask(OUTSIDE, TYPE.AAAA)).rcode);
    assert.deepEqual(asks, [RCODE.NOERROR, RCODE.NOERROR, RCODE.NOERROR]);
    assert.equal((await cluster.ask(`x.${COM}`)).rcode, RCODE.NXDOMAIN);
    assert.deepEqual(cluster.asked, [`${OUTSIDE} 28`, `x.${COM} 1`]);
  });

  it('checks one name a second, and the same name after minutes only', async () => {
    const cluster = await known();
    const { clock } = cluster.bench.services;
    // The probes keep the denial alive.
    for (let i = 0; i < 300; i++) {
      await clock.advance(1_000);
      await cluster.ask(`x${i % 3}.${COM}`);
    }
    const checks = cluster.asked.filter((asked) => asked !== `${COM} 1`);
    assert.deepEqual(checks, [`x0.${COM} 1`, `x1.${COM} 1`, `x2.${COM} 1`]);
  });

  it('and a denial that cannot be stored ends the probes of its name', async () => {
    const cluster = new Cluster({ ...ON, disableDenial: [nameFromText(ZONE)] }, random);
    await cluster.ask(OUTSIDE);
    assert.equal(cluster.probes('answers_below'), 1);
    cluster.bench.asked.length = 0;
    await cluster.ask(OUTSIDE);
    assert.deepEqual(cluster.asked, [`${OUTSIDE} 1`]);
  });
});
