import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Bench, DEFAULTS, nxdomain, ttlIn } from './harness.ts';

const NAME = 'web.ns.svc.cluster.local.';

/** TTL that a client sees of a denial whose SOA says `soaSeconds`. */
async function denied(name: string, soaSeconds: number, maxTtlSeconds = 5): Promise<number> {
  const denial = { ...DEFAULTS.cluster.denial, maxTtlSeconds };
  const bench = new Bench({ cluster: { ...DEFAULTS.cluster, denial } });
  bench.upstream = (query) => bench.reply(query, nxdomain(soaSeconds, soaSeconds));
  const answer = await bench.ask({ name });
  assert.equal(bench.cache.stats().denials, maxTtlSeconds === 0 || soaSeconds === 0 ? 0 : 1);
  return ttlIn(answer);
}

describe('denials of cluster names', () => {
  it('have the TTL of their own options', async () => {
    assert.equal(await denied(NAME, 60), 5);
    assert.equal(await denied('www.example.org.', 60), 60);
  });

  it('have at most the TTL of their SOA', async () => {
    assert.equal(await denied(NAME, 2), 2);
    assert.equal(await denied('www.example.org.', 2), 5);
  });

  it('are not stored where that TTL is 0', async () => {
    assert.equal(await denied(NAME, 60, 0), 0);
    assert.equal(await denied(NAME, 0), 0);
  });
});
