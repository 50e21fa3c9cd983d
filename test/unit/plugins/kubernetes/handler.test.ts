/** What the plugin answers while its records are current, and what it passes on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLASS, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../../agent/dns/name.ts';
import { Answer, madeAnswer } from '../../../../agent/query/answer.ts';
import type { InternalQuestion } from '../../../../agent/query/query.ts';
import { answerLines, queryFor } from '../../../support/dns/queries.ts';
import { namespaceObject, serviceObject } from '../../../support/kubernetes/objects.ts';
import { fakeServices } from '../../../support/services.ts';
import { apiOf, ask, begun, NAMESPACES, SERVICES, SLICES, sync, synced, WEB } from './watched.ts';

describe('kubernetes with current records', () => {
  it('answers without a promise, in any letter case', async () => {
    const { plugin, next } = await synced();
    const answer = plugin.handle?.(queryFor('WEB.Shop.svc.Cluster.LOCAL', 'A'), next.handler);
    assert.ok(answer instanceof Answer);
    assert.deepEqual([answerLines(answer), next.asked], [['A 10.96.0.1'], 0]);
    assert.deepEqual(
      [answer.plugin, answer.shareable, answer.extended],
      ['kubernetes', true, undefined],
    );
  });

  it('passes other zones and classes on, and makes no transfer', async () => {
    const { plugin, next } = await synced();
    await ask(plugin, 'example.org', next.handler);
    await plugin.handle?.(queryFor(WEB, 'A', { class: CLASS.CH }), next.handler);
    assert.equal(next.asked, 2);
    assert.throws(() => plugin.handle?.(queryFor('cluster.local', 'AXFR'), next.handler), {
      name: 'DnsError',
      rcode: RCODE.REFUSED,
    });
  });

  it('denies what it does not know, or passes it on where it falls through', async () => {
    const { plugin, next } = await synced();
    assert.equal(
      (await ask(plugin, 'x.shop.svc.cluster.local', next.handler)).rcode,
      RCODE.NXDOMAIN,
    );
    const through = await synced(
      'kubernetes cluster.local in-addr.arpa {\nfallthrough in-addr.arpa\n}',
    );
    assert.equal(
      (await ask(through.plugin, 'x.shop.svc.cluster.local', next.handler)).rcode,
      RCODE.NXDOMAIN,
    );
    assert.equal(next.asked, 0);
    for (const name of ['9.9.9.9.in-addr.arpa', '9.in-addr.arpa'])
      assert.equal(await ask(through.plugin, name, next.handler, 'PTR'), next.answer);
    assert.equal(
      through.services.metrics.value('nodens_kubernetes_queries_total', { result: 'fallthrough' }),
      2,
    );
  });

  it('follows each event', async () => {
    const { plugin, services, next } = await synced();
    const watch = apiOf(services).watchOf(SERVICES);
    watch.put(serviceObject('shop/web', { ips: ['10.96.0.7'], ports: ['http:80'] }));
    assert.deepEqual(answerLines(await ask(plugin, WEB, next.handler)), ['A 10.96.0.7']);
    watch.delete(serviceObject('shop/web'));
    assert.equal((await ask(plugin, WEB, next.handler)).rcode, RCODE.NXDOMAIN);
    apiOf(services).watchOf(SLICES).list([]);
    assert.equal(
      (await ask(plugin, 'db.shop.svc.cluster.local', next.handler)).rcode,
      RCODE.NXDOMAIN,
    );
    apiOf(services).watchOf(NAMESPACES).delete(namespaceObject('shop'));
    assert.equal((await ask(plugin, 'shop.svc.cluster.local', next.handler)).rcode, RCODE.NXDOMAIN);
  });

  it('watches what the options ask for, and keeps what they name', async () => {
    const text = `kubernetes cluster.local {
      namespaces shop
      labels app=web
      pods verified
    }`;
    const { plugin, services, next } = await begun(text);
    const api = apiOf(services);
    assert.deepEqual(
      api.watches.map(({ options: { path, labelSelector, fieldSelector } }) => [
        path,
        labelSelector,
        fieldSelector?.slice(0, 12),
      ]),
      [
        [NAMESPACES, undefined, undefined],
        [SERVICES, 'app=web', undefined],
        [SLICES, 'app=web', undefined],
        ['/api/v1/pods', 'app=web', 'status.phase'],
      ],
    );
    sync(services);
    api.watchOf(NAMESPACES).put(namespaceObject('other'));
    api.watchOf(SERVICES).put(serviceObject('other/web', { ips: ['10.96.0.2'] }));
    api.watchOf('/api/v1/pods').list([]);
    assert.equal(
      (await ask(plugin, 'web.other.svc.cluster.local', next.handler)).rcode,
      RCODE.NXDOMAIN,
    );
    assert.equal((await ask(plugin, WEB, next.handler)).rcode, RCODE.NOERROR);
    assert.equal(services.metrics.value('nodens_kubernetes_objects', { kind: 'services' }), 3);
  });
});

describe('an alias to another zone', () => {
  const target = nameFromText('db.example.org');

  async function asking(
    found: Answer,
  ): Promise<{ answer: Promise<Answer>; asked: InternalQuestion[] }> {
    const asked: InternalQuestion[] = [];
    const services = fakeServices({
      resolve: (question) => {
        asked.push(question);
        return Promise.resolve(found);
      },
    });
    const { plugin, next } = await synced('kubernetes cluster.local', services);
    return { answer: ask(plugin, 'out.shop.svc.cluster.local', next.handler), asked };
  }

  const made = (rcode: number, addresses: readonly number[]): Answer =>
    madeAnswer(
      { name: target, type: TYPE.A, class: CLASS.IN },
      {
        rcode,
        flags: 0,
        answer: addresses.map((last) => ({
          type: TYPE.A,
          ttlSeconds: 60,
          rdata: Uint8Array.of(192, 0, 2, last),
        })),
      },
      'forward',
    );

  it('is resolved through the server', async () => {
    const { answer, asked } = await asking(made(RCODE.NOERROR, [1, 2]));
    assert.deepEqual(answerLines(await answer), [
      'CNAME db.example.org',
      'A 192.0.2.1',
      'A 192.0.2.2',
    ]);
    assert.deepEqual(
      asked.map(({ name, type, depth }) => [nameToText(name), type, depth]),
      [['db.example.org.', TYPE.A, 1]],
    );
    const { wire, ttlOffsets } = await answer;
    assert.deepEqual(
      ttlOffsets.map((at) => wire.readUInt32BE(at)),
      [5, 60, 60],
    );
  });

  it('stands alone if the target does not exist', async () => {
    const { answer } = await asking(made(RCODE.NXDOMAIN, []));
    assert.deepEqual(answerLines(await answer), ['CNAME db.example.org']);
  });

  it('fails if the target cannot be resolved: the cache keeps what it has', async () => {
    const { answer } = await asking(made(RCODE.SERVFAIL, []));
    await assert.rejects(answer, { name: 'DnsError', rcode: RCODE.SERVFAIL });
  });
});
