/** What becomes of a query while the records are not synced or old: the plugins below come first. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DnsError, LocalError } from '../../../../agent/base/errors.ts';
import { EDE, RCODE } from '../../../../agent/dns/iana.ts';
import { madeAnswer } from '../../../../agent/query/answer.ts';
import type { Handler } from '../../../../agent/query/handler.ts';
import { answerLines, queryFor } from '../../../support/dns/queries.ts';
import { namespaceObject, serviceObject } from '../../../support/kubernetes/objects.ts';
import { apiOf, ask, begun, NAMESPACES, SERVICES, SLICES, synced, WEB } from './watched.ts';

const failing =
  (rcode: number): Handler =>
  () => {
    throw new DnsError(rcode, 'nothing below answers');
  };

describe('kubernetes without all records', () => {
  it('passes its zones on until every watch has synced', async () => {
    const { plugin, services, next } = await begun();
    const api = apiOf(services);
    assert.equal(await ask(plugin, WEB, next.handler), next.answer);
    api.watchOf(NAMESPACES).list([namespaceObject('shop')]);
    api.watchOf(SERVICES).list([serviceObject('shop/web', { ips: ['10.96.0.1'] })]);
    assert.equal(await ask(plugin, WEB, next.handler), next.answer);
    api.watchOf(SLICES).list([]);
    assert.notEqual(await ask(plugin, WEB, next.handler), next.answer);
    assert.equal(
      services.metrics.value('nodens_kubernetes_queries_total', { result: 'unsynced' }),
      2,
    );
  });

  it('is a failure, and no refusal, where no plugin below answers', async () => {
    const { plugin } = await begun();
    await assert.rejects(ask(plugin, WEB, failing(RCODE.REFUSED)), (error: DnsError) => {
      assert.deepEqual([error.rcode, error.extended?.code], [RCODE.SERVFAIL, EDE.NOT_READY]);
      return true;
    });
    await assert.rejects(ask(plugin, WEB, failing(RCODE.SERVFAIL)), {
      message: 'nothing below answers',
    });
  });
});

describe('kubernetes with old records', () => {
  async function old(text?: string) {
    const made = await synced(text);
    await made.services.clock.advance(180_001);
    return made;
  }

  it('passes queries on, as long as a plugin below answers', async () => {
    const { plugin, services, next } = await old();
    const query = queryFor(WEB, 'A');
    assert.equal(await plugin.handle?.(query, next.handler), next.answer);
    assert.equal(query.budgetMs, 1_000);
    assert.equal(
      services.metrics.value('nodens_kubernetes_queries_total', { result: 'old_passed' }),
      1,
    );
  });

  it('answers with an extended error where none does', async () => {
    const { plugin, services } = await old();
    const answer = await ask(plugin, WEB, failing(RCODE.SERVFAIL));
    assert.deepEqual(
      [answerLines(answer), answer.extended?.code],
      [['A 10.96.0.1'], EDE.STALE_ANSWER],
    );
    const denial = await ask(plugin, 'x.shop.svc.cluster.local', failing(RCODE.REFUSED));
    assert.deepEqual(
      [denial.rcode, denial.extended?.code],
      [RCODE.NXDOMAIN, EDE.STALE_NXDOMAIN_ANSWER],
    );
    const failure = madeAnswer(queryFor(WEB, 'A'), { rcode: RCODE.SERVFAIL, flags: 0 }, 'forward');
    const late = await ask(plugin, WEB, () => Promise.resolve(failure));
    assert.deepEqual(answerLines(late), ['A 10.96.0.1']);
    assert.equal(
      services.metrics.value('nodens_kubernetes_queries_total', { result: 'old_answered' }),
      3,
    );
  });

  it('does not deny a name that falls through, nor hide a lack of this node', async () => {
    const { plugin } = await old('kubernetes cluster.local {\nfallthrough\n}');
    const failure = { message: 'nothing below answers' };
    await assert.rejects(ask(plugin, 'x.shop.svc.cluster.local', failing(RCODE.SERVFAIL)), failure);
    const lacking = (): never => {
      throw new LocalError('no socket');
    };
    await assert.rejects(ask(plugin, WEB, lacking), { message: 'no socket' });
  });

  it('answers again as soon as the API server is heard', async () => {
    const { plugin, services, next } = await old();
    for (const path of [NAMESPACES, SERVICES, SLICES]) {
      assert.equal(await ask(plugin, WEB, next.handler), next.answer);
      apiOf(services).watchOf(path).contact();
    }
    assert.deepEqual(answerLines(await ask(plugin, WEB, next.handler)), ['A 10.96.0.1']);
  });

  it('takes the limit from max_age', async () => {
    const { plugin, services, next } = await synced('kubernetes cluster.local {\nmax_age 20s\n}');
    assert.ok((apiOf(services).watches[0]?.options.contactEveryMs ?? 0) < 20_000);
    await services.clock.advance(19_000);
    assert.notEqual(await ask(plugin, WEB, next.handler), next.answer);
    await services.clock.advance(1_001);
    assert.equal(await ask(plugin, WEB, next.handler), next.answer);
  });
});
