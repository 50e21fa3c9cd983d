import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from '../../../../agent/query/answer.ts';
import { clientAt } from '../../../../agent/query/query.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { COM, FILE, FIRST, lines, lookup, PUBLIC } from './lookup.ts';

describe('a walk that cannot be sure', () => {
  it('ends at a failure: the client gets the first denial and walks itself', async () => {
    const { ask, results, names } = lookup({
      'api.example.com.cluster.local.': { A: 'SERVFAIL', AAAA: 'SERVFAIL' },
      [COM]: PUBLIC,
    });
    assert.match(lines(await ask(FIRST)), /^NXDOMAIN/);
    assert.equal(results('failed'), 1);
    assert.ok(!names.asked.includes('A api.example.com.'));
    // A failure is no decision.
    names.entries.delete('api.example.com.cluster.local.');
    assert.match(lines(await ask(FIRST)), /CNAME api\.example\.com/);
  });

  it('gives the failure of one type where the other exists', async () => {
    const { ask } = lookup({ [COM]: { A: ['192.0.2.7'], AAAA: 'SERVFAIL' } });
    assert.match(lines(await ask(FIRST, 'A')), /^NOERROR/);
    assert.match(lines(await ask(FIRST, 'AAAA')), /^SERVFAIL/);
  });

  it('walks again if the name has gone meanwhile', async () => {
    const { ask, names } = lookup({ 'web.cluster.local.': PUBLIC });
    const first = 'web.shop.svc.cluster.local';
    assert.match(lines(await ask(first)), /CNAME web\.cluster\.local/);
    names.entries.delete('web.cluster.local.');
    names.entries.set('web.', PUBLIC);
    assert.match(lines(await ask(first)), /^NXDOMAIN/);
    assert.match(lines(await ask(first)), /CNAME web, web 60 A/);
  });

  it('gives the first denial back when the time of the client is over', async () => {
    const { send, names, services, results } = lookup({ [COM]: PUBLIC });
    names.gate = new Promise(() => {});
    const query = queryFor(FIRST, 'A');
    query.arrivedMs = services.clock.nowMs();
    const result = send(query);
    await services.clock.advance(query.budgetMs + 1);
    assert.match(lines((await result) as Answer), /^NXDOMAIN/);
    assert.equal(results('failed'), 1);
  });

  it('is not begun for a name that the client asks as it is, at the end of its own walk', async () => {
    // ndots 5: `web.shop.svc.cluster.local` is expanded first, denied everywhere, then asked as it is.
    const { ask, names } = lookup({ 'web.': PUBLIC, 'web.corp.example.': PUBLIC });
    const whole = 'web.shop.svc.cluster.local';
    assert.match(lines(await ask(`${whole}.shop.svc.cluster.local`)), /^NXDOMAIN/);
    const walked = names.asked.length;
    assert.match(lines(await ask(whole)), /^NXDOMAIN/);
    assert.equal(names.asked.length, walked);
  });

  it('is remembered although another client walks along any number of names', async () => {
    const { ask, names } = lookup({ 'web.': PUBLIC, 'web.corp.example.': PUBLIC });
    const whole = 'web.shop.svc.cluster.local';
    const victim = { client: clientAt('10.244.0.1', 1) };
    const attacker = { client: clientAt('10.244.0.2', 1) };
    await ask(`${whole}.shop.svc.cluster.local`, 'A', victim);
    for (let n = 0; n < 2_100; n++) await ask(`n${n}.shop.svc.cluster.local`, 'A', attacker);
    const walked = names.asked.length;
    assert.match(lines(await ask(whole, 'A', victim)), /^NXDOMAIN/);
    assert.equal(names.asked.length, walked);
  });

  it('is bounded for each client', async () => {
    const { send, names, results, services } = lookup({ [COM]: PUBLIC });
    names.gate = new Promise(() => {});
    for (let n = 0; n < 200; n++) {
      const query = queryFor(`n${n}.shop.svc.cluster.local`, 'A');
      query.arrivedMs = services.clock.nowMs();
      void send(query);
    }
    assert.equal(results('busy'), 200 - 128);
    const other = queryFor(FIRST, 'A', { client: clientAt('10.244.0.99', 1) });
    other.arrivedMs = services.clock.nowMs();
    void send(other);
    assert.equal(results('busy'), 200 - 128);
  });

  it('stops where a client causes too many questions to upstreams: then that client walks itself', async () => {
    const domains = Array.from({ length: 31 }, (_, n) => `d${n}.example`);
    const { ask, names, results, services } = lookup(
      { [COM]: PUBLIC, 'web.': PUBLIC },
      `search shop.svc.cluster.local ${domains.join(' ')}\n`,
    );
    // Every question has to wait for an upstream.
    names.gate = Promise.resolve();
    const attacker = { client: clientAt('10.244.0.2', 1) };
    for (let n = 0; n < 100; n++) await ask(`n${n}.shop.svc.cluster.local`, 'A', attacker);
    assert.ok(names.asked.length <= 1_010, `${names.asked.length} questions`);
    assert.ok(results('limited') > 80, `${results('limited')}`);
    assert.match(lines(await ask(FIRST, 'A', attacker)), /^NXDOMAIN/);
    // Others are answered, and so is this client in a while.
    const other = { client: clientAt('10.244.0.3', 1) };
    assert.match(lines(await ask(FIRST, 'A', other)), /CNAME api\.example\.com/);
    await services.clock.advance(1_000);
    assert.match(lines(await ask(FIRST, 'A', attacker)), /CNAME api\.example\.com/);
    const limited = results('limited');
    // What the cache answers does not count.
    names.gate = undefined;
    for (let n = 0; n < 100; n++) await ask(`m${n}.shop.svc.cluster.local`, 'A', attacker);
    assert.equal(results('limited'), limited);
  });

  it('answers A and AAAA of one lookup alike, although the client may ask again in between', async () => {
    const { ask, names, results, services } = lookup(
      { [COM]: { A: ['192.0.2.7'], AAAA: [] } },
      `search shop.svc.cluster.local ${Array.from({ length: 31 }, (_, n) => `d${n}.example`).join(' ')}\n`,
    );
    names.gate = Promise.resolve();
    for (let n = 0; results('limited') === 0; n++) await ask(`n${n}.shop.svc.cluster.local`, 'A');
    assert.match(lines(await ask(FIRST, 'A')), /^NXDOMAIN/);
    await services.clock.advance(1_000);
    // glibc ends its search at an alias, although the other type was denied: it would find no address.
    assert.match(lines(await ask(FIRST, 'AAAA')), /^NXDOMAIN/);
    // The next lookup.
    assert.match(lines(await ask(FIRST, 'A')), /CNAME api\.example\.com/);
    assert.match(lines(await ask(FIRST, 'AAAA')), /CNAME api\.example\.com/);
  });

  it('lets a client wait for its walk in its share of memory, and leaves the rest to walk itself', async () => {
    const ledger = ledgerWith(256 * 1_024);
    const { send, names, results, services } = lookup(
      { [COM]: PUBLIC },
      FILE,
      'autopath /r',
      ledger,
    );
    names.gate = new Promise(() => {});
    const before = services.clock.pendingTimers;
    const answers = Array.from({ length: 10_000 }, () => {
      const query = queryFor(FIRST, 'A', { client: clientAt('10.244.0.99', 1) });
      query.arrivedMs = services.clock.nowMs();
      return Promise.resolve(send(query));
    });
    assert.ok(ledger.usedBytes > 0 && ledger.usedBytes <= 256 * 1_024, String(ledger.usedBytes));
    assert.ok(services.clock.pendingTimers - before <= 64);
    assert.ok(results('busy') >= 9_900, String(results('busy')));
    await services.clock.advance(5_000);
    for (const answer of await Promise.all(answers)) assert.equal(answer?.rcode, 3);
    assert.equal(ledger.usedBytes, 0);
  });
});
