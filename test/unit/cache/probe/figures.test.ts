/** What search paths cost kube-dns with `nxdomain_probe`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RCODE } from '../../../../agent/dns/iana.ts';
import { Cluster, ON } from './cluster.ts';

const OUTSIDE = ['api.example.com.', 'cdn.example.com.', 'www.shop.com.'];
const PODS = 100;
const MINUTE_MS = 60_000;

/** 100 pods start at once and look up three names each; the number of questions that kube-dns gets. */
async function gang(cluster: Cluster): Promise<number> {
  const before = cluster.bench.asked.length;
  const pods = Array.from({ length: PODS }, async (_, i) => {
    const found: number[][] = [];
    for (const name of OUTSIDE) found.push(await cluster.search(name, `10.0.0.${i}`));
    return found.flat();
  });
  const rcodes = (await cluster.settled(Promise.all(pods))).flat();
  assert.equal(rcodes.length, PODS * OUTSIDE.length * 6);
  assert.ok(rcodes.every((rcode) => rcode === RCODE.NXDOMAIN));
  return cluster.bench.asked.length - before;
}

describe('100 pods that start at once', () => {
  it('cost kube-dns 18 questions without probes', async () => {
    assert.equal(await gang(new Cluster({})), 18);
  });

  it('cost 11 if nothing is known: a name that exists, 3 suffixes with a probe and two checks, a check', async () => {
    const cluster = new Cluster();
    assert.equal(await gang(cluster), 11);
    assert.deepEqual([cluster.probes('exists'), cluster.probes('denied')], [1, 3]);
  });

  it('cost at most 6 once the names above are known, and so does the next gang', async () => {
    const cluster = new Cluster();
    await gang(cluster);
    for (let i = 0; i < 3; i++) {
      await cluster.bench.services.clock.advance(10_000);
      const asked = await gang(cluster);
      assert.ok(asked <= 6, `${asked} questions`);
    }
    await cluster.bench.services.clock.advance(5 * MINUTE_MS);
    const asked = await gang(cluster);
    assert.ok(asked <= 6, `${asked} questions`);
  });
});

describe('1,000 different outside names a second', () => {
  const DOMAINS = ['com', 'net', 'org', 'io', 'dev'];

  /** Questions that kube-dns gets for each name. */
  async function flood(cluster: Cluster, seconds: number): Promise<number> {
    const { bench } = cluster;
    const { clock } = bench.services;
    const searches: Promise<number[]>[] = [];
    for (let i = 0; i < seconds * 1_000; i++) {
      searches.push(cluster.search(`host${i}.shop${i % 97}.${DOMAINS[i % DOMAINS.length]}.`));
      await clock.advance(1);
    }
    await clock.advance(1_000);
    const rcodes = (await Promise.all(searches)).flat();
    assert.ok(rcodes.every((rcode) => rcode === RCODE.NXDOMAIN));
    return bench.asked.length / (seconds * 1_000);
  }

  it('cost kube-dns 6 questions a name without probes', async () => {
    const cluster = new Cluster({});
    assert.equal(await flood(cluster, 1), 6);
  });

  it('cost at most 0.05 with probes', async () => {
    const cluster = new Cluster(ON);
    const perName = await flood(cluster, 10);
    assert.ok(perName <= 0.05, `${perName} questions a name`);
  });
});
