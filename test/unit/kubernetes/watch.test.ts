import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import {
  PODS,
  podNamed,
  type Watching,
  type WatchingOptions,
  watching,
} from '../../support/kubernetes/watching.ts';

const A = podNamed('a');
const B = podNamed('b');
const C = podNamed('c');

let open: Watching | undefined;
const start = async (options?: WatchingOptions): Promise<Watching> => {
  open = await watching(options);
  return open;
};
/** A watch that has synced with pods a and b, and watches. */
const synced = async (options: WatchingOptions = {}): Promise<Watching> => {
  const found = await start({
    ...options,
    before: (api) => {
      for (const pod of [A, B]) api.put(PODS, pod);
      options.before?.(api);
    },
  });
  await found.until('the watch runs', () => found.api.watching === 1);
  return found;
};
const queries = ({ api }: Watching): string[] =>
  api.requests.map(({ query, status }) =>
    [
      query.watch === '1' ? 'watch' : 'list',
      query.continue === undefined ? `from ${query.resourceVersion}` : `page ${query.continue}`,
      status,
    ].join(' '),
  );

afterEach(async () => {
  await open?.close();
  open = undefined;
});

describe('a watch', () => {
  it('lists, syncs, and follows events', async () => {
    const { api, calls, keys, until, watch, services } = await synced();
    assert.deepEqual(calls, ['put shop/a', 'put shop/b', 'sync', 'state well']);
    assert.equal(watch.state.isSynced, true);
    assert.equal(watch.state.failure, undefined);
    api.put(PODS, C);
    api.put(PODS, podNamed('a', 'worker-2'));
    api.delete(PODS, B);
    await until('all events', () => calls.includes('delete shop/b'));
    assert.deepEqual(keys(), ['shop/a worker-2', 'shop/c worker-1']);
    assert.equal(services.metrics.value('nodens_api_events_total', { resource: 'pods' }), 3);
    assert.deepEqual(services.log.records, []);
  });

  it('sends its selectors, and asks for bookmarks and an end', async () => {
    const { api, keys } = await synced({
      watch: {
        fieldSelector: 'spec.nodeName=worker-1',
        labelSelector: 'a=b',
        contactEveryMs: 30_000,
      },
      before: (server) => server.put(PODS, podNamed('far', 'worker-9')),
    });
    assert.deepEqual(keys(), ['shop/a worker-1', 'shop/b worker-1']);
    const [list, watch] = api.requests;
    assert.equal(list?.query.fieldSelector, 'spec.nodeName=worker-1');
    assert.equal(list?.query.resourceVersion, '0');
    assert.equal(watch?.query.fieldSelector, 'spec.nodeName=worker-1');
    assert.equal(watch?.query.labelSelector, 'a=b');
    assert.equal(watch?.query.allowWatchBookmarks, 'true');
    // 0.725 of 30 s.
    assert.equal(watch?.query.timeoutSeconds, '21');
  });

  it('reads a list in pages', async () => {
    const found = await start({
      pageObjects: 2,
      before: (api) => {
        for (let n = 0; n < 5; n++) api.put(PODS, podNamed(`p${n}`));
      },
    });
    await found.until('the watch runs', () => found.api.watching === 1);
    assert.equal(found.keys().length, 5);
    assert.deepEqual(queries(found), [
      'list from 0 200',
      'list page 2@105 200',
      'list page 4@105 200',
      'watch from 105 200',
    ]);
    assert.equal(found.calls.filter((call) => call === 'sync').length, 1);
  });

  it('reads lists and events that come in pieces of any size', async () => {
    for (const pieceBytes of [1, 7, 4_096]) {
      const found = await synced({
        pieceBytes,
        before: (api) => {
          // Quotes, brackets and backslashes inside of strings, and several bytes a character.
          const text = 'a "]}\\" [{ \\\\ \u00fc\u20ac\u{1f600} ,';
          api.put(PODS, { ...C, metadata: { ...C.metadata, name: 'odd' }, items: [[text]], text });
        },
      });
      found.api.put(PODS, C);
      await found.until('the event', () => found.keys().length === 4);
      await found.close();
    }
  });

  it('takes an object that strip does not want, or cannot read, for absent', async () => {
    const { api, keys, until, services } = await synced({
      watch: {
        strip: ({ spec }) => {
          const { nodeName } = spec as { nodeName: string };
          return nodeName === 'worker-1' ? nodeName : undefined;
        },
      },
    });
    api.put(PODS, podNamed('a', 'worker-2'));
    api.put(PODS, { metadata: B.metadata });
    await until('both are gone', () => keys().length === 0);
    api.put(PODS, A);
    await until('it is back', () => keys().length === 1);
    assert.equal(
      services.metrics.value('nodens_api_malformed_objects_total', { resource: 'pods' }),
      1,
    );
  });

  it('is not disturbed by repeated events', async () => {
    const { api, keys, until, calls } = await synced();
    api.put(PODS, C);
    api.repeatLast(PODS);
    api.delete(PODS, C);
    api.repeatLast(PODS);
    api.put(PODS, podNamed('d'));
    await until('the last', () => keys().length === 3);
    assert.equal(calls.filter((call) => call === 'delete shop/c').length, 1);
  });

  it('runs no callback after close, and leaves no connection', async () => {
    const { api, client, calls, until } = await synced();
    const before = calls.length;
    api.put(PODS, C);
    client.close();
    await until('all connections are closed', () => api.connections === 0);
    assert.equal(calls.length, before);
  });
});

describe('a watch that ends', () => {
  it('resumes where it was, bookmarks included', async () => {
    const found = await synced({ watch: { contactEveryMs: 30_000 } });
    const { api, until, services } = found;
    api.bookmark(PODS);
    await until(
      'the bookmark',
      () => services.metrics.value('nodens_api_events_total', { resource: 'pods' }) === 1,
    );
    await services.clock.advance(20_000);
    api.endWatches();
    await until('the next watch', () => queries(found).length === 3);
    api.put(PODS, C);
    await until('the event', () => found.keys().length === 3);
    assert.deepEqual(queries(found), [
      'list from 0 200',
      'watch from 102 200',
      'watch from 103 200',
    ]);
    assert.deepEqual(services.log.records, []);
  });

  it('waits before the next if it ends at once, or by a reset, and tells it once', async () => {
    const found = await synced();
    const { api, until, services, calls } = found;
    api.endWatches();
    await until('the failure', () => calls.includes('state failing'));
    assert.equal(api.watching, 0);
    await services.clock.advance(500);
    assert.equal(queries(found).length, 2, 'asked too early');
    await until('the next watch', () => api.watching === 1, 100);
    await services.clock.advance(2_000);
    api.endWatches('reset');
    await until('another', () => queries(found).length === 4, 100);
    await until('well', () => calls.at(-1) === 'state well');
    assert.deepEqual(
      services.log.records.map(({ level, message }) => `${level} ${message}`),
      [
        'warn cannot watch pods of the API server, retrying: the watch ended at once',
        'info watches pods of the API server again',
        'warn cannot watch pods of the API server, retrying: aborted',
        'info watches pods of the API server again',
      ],
    );
  });

  for (const tells of [false, true])
    it(`lists again when its version is gone, ${tells ? 'in mid-stream' : 'at a new watch'}`, async () => {
      const found = await synced();
      const { api, until, services, keys, calls } = found;
      await services.clock.advance(5_000);
      api.replaceSilently(PODS, [B, C]);
      api.compact(tells);
      if (!tells) api.endWatches();
      await until('the new list', () => keys().includes('shop/c worker-1'), 100);
      assert.deepEqual(keys(), ['shop/b worker-1', 'shop/c worker-1']);
      assert.equal(calls.filter((call) => call === 'delete shop/a').length, 1);
      assert.equal(calls.filter((call) => call === 'sync').length, 2);
      // The latest version, not any that the API server has at hand: it would be the old one again.
      assert.match(
        queries(found).findLast((query) => query.startsWith('list')) ?? '',
        /^list from {2}200$/,
      );
      assert.equal(services.metrics.value('nodens_api_relists_total', { resource: 'pods' }), 1);
      assert.deepEqual(services.log.records, []);
    });

  it('replaces a connection that is silent for too long', async () => {
    const found = await synced({ watch: { contactEveryMs: 30_000 } });
    const { api, until, services, keys, watch } = found;
    const startMs = services.clock.nowMs();
    api.isFrozen = true;
    api.put(PODS, C);
    await until('it is given up', () => watch.state.failure !== undefined, 500);
    assert.match(watch.state.failure ?? '', /no byte within 29 s/);
    assert.ok(services.clock.nowMs() - startMs <= 29_500);
    assert.ok(services.clock.nowMs() - (watch.state.lastContactMs ?? 0) >= 28_000);
    api.isFrozen = false;
    await until('the event of the frozen time', () => keys().length === 3, 500);
  });

  it('survives what is no event', async () => {
    for (const [raw, reason] of [
      ['no json\n', /not JSON/],
      ['7\n', /no object/],
      ['{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n', /etcd/],
    ] as const) {
      const { api, until, watch, keys, close } = await synced();
      api.sendRaw(raw);
      await until('the failure', () => watch.state.failure !== undefined);
      assert.match(watch.state.failure ?? '', reason);
      await until('the next watch', () => api.watching === 1, 100);
      api.put(PODS, C);
      await until('the event', () => keys().length === 3);
      await close();
    }
  });

  it('bounds the length of an event', async () => {
    const { api, until, watch } = await synced();
    const piece = 'x'.repeat(1024 * 1024);
    for (let n = 0; n < 5; n++) api.sendRaw(piece);
    await until('the failure', () => watch.state.failure !== undefined);
    assert.match(watch.state.failure ?? '', /longer than 4194304 bytes/);
  });
});
