import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { ScriptedApi } from '../../support/kubernetes/scripted-api.ts';
import type { Fault } from '../../support/kubernetes/scripted-objects.ts';
import {
  PODS,
  podNamed,
  type Watching,
  type WatchingOptions,
  watching,
} from '../../support/kubernetes/watching.ts';

let open: Watching | undefined;
const start = async (options?: WatchingOptions): Promise<Watching> => {
  open = await watching(options);
  return open;
};
const withFaults = (...faults: readonly Fault[]): Promise<Watching> =>
  start({
    before: (api) => {
      api.put(PODS, podNamed('a'));
      api.faults.push(...faults);
    },
  });

afterEach(async () => {
  await open?.close();
  open = undefined;
});

describe('an API server that fails', () => {
  it('is not there at the start: told once, and watched as soon as it is', async () => {
    const gone = new ScriptedApi();
    const url = await gone.listen();
    const port = Number(new URL(url).port);
    await gone.close();
    const place = { file: '/etc/Corefile', line: 3 };
    const found = await start({
      access: () => ({ place, endpoint: { text: url, place }, requestsPerSecond: 1_000 }),
    });
    const { services, watch, until } = found;
    await until('it fails', () => watch.state.failure !== undefined);
    await services.clock.advance(60_000);
    const refusals = () =>
      services.metrics.value('nodens_api_requests_total', { resource: 'pods', code: 'none' });
    await until('some attempts', () => refusals() >= 4, 1_000);
    const { host } = new URL(url);
    const asked = { method: 'GET', host, code: '<error>' };
    const { metrics } = services;
    assert.ok(metrics.value('coredns_kubernetes_rest_client_requests_total', asked) >= 4);
    const all = { verb: 'GET', host, le: '+Inf' };
    const duration = 'coredns_kubernetes_rest_client_request_duration_seconds';
    assert.ok(metrics.value(duration, all) >= 4);
    assert.equal(services.log.records.length, 1);
    assert.match(services.log.records[0]?.message ?? '', /cannot watch pods .*ECONNREFUSED/);
    assert.equal(watch.state.isSynced, false);
    const api = new ScriptedApi();
    await api.listen(port);
    api.put(PODS, podNamed('a'));
    await until('the list', () => watch.state.isSynced, 1_000);
    assert.deepEqual(found.keys(), ['shop/a worker-1']);
    assert.equal(services.log.records.length, 2);
    await api.close();
  });

  it('is asked again later and later, with jitter', async () => {
    const { api, until, services } = await withFaults(
      ...Array.from({ length: 7 }, () => ({ status: 500 })),
    );
    const timesMs: number[] = [];
    await until(
      'it syncs',
      () => {
        while (timesMs.length < api.requests.length) timesMs.push(services.clock.nowMs());
        return api.watching === 1;
      },
      200,
    );
    const waits = timesMs.slice(1, 8).map((time, n) => time - (timesMs[n] as number));
    const expected = [800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000];
    for (const [n, wait] of waits.entries())
      assert.ok(Math.abs(wait - (expected[n] as number)) <= 500, `${waits}`);
  });

  it('says how long to wait', async () => {
    const { api, until, services } = await withFaults({ status: 429, retryAfterSeconds: 20 });
    await until('it was asked', () => api.requests.length === 1);
    await services.clock.advance(19_000);
    assert.equal(api.requests.length, 1);
    await until('it syncs', () => api.watching === 1, 500);
  });

  it('forbids: the log names the permission', async () => {
    const { until, services } = await withFaults({ status: 403, message: 'pods is forbidden' });
    await until('the warning', () => services.log.records.length === 1);
    const [record] = services.log.records;
    assert.match(record?.message ?? '', /403: pods is forbidden/);
    assert.match(String(record?.fields.remedy), /get, list and watch pods/);
  });

  for (const fault of ['silent', 'reset', 'half a list'] as const)
    it(`gives ${fault}: the list is asked for again`, async () => {
      const { until, keys, watch } = await withFaults(fault);
      await until('it syncs', () => watch.state.isSynced, 500);
      assert.deepEqual(keys(), ['shop/a worker-1']);
    });

  it('keeps to the rate that the Corefile sets', async () => {
    const place = { file: '/etc/Corefile', line: 3 };
    const { api, until, services, watch } = await start({
      pageObjects: 1,
      before: (server) => {
        for (let n = 0; n < 9; n++) server.put(PODS, podNamed(`p${n}`));
      },
      access: (url) => ({
        ...{ place, endpoint: { text: url, place } },
        ...{ requestsPerSecond: 2, burst: 3 },
      }),
    });
    const startMs = services.clock.nowMs();
    await until('the burst', () => api.requests.length === 3);
    await until('the list', () => watch.state.isSynced, 50);
    // Six more pages at two a second.
    assert.ok(services.clock.nowMs() - startMs >= 2_900);
  });
});

describe('a token', () => {
  const TOKEN_FILE = '/token';
  const kubeconfig = (url: string): string =>
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: url } }],
      users: [{ name: 'u', user: { tokenFile: TOKEN_FILE } }],
    });
  const place = { file: '/etc/Corefile', line: 3 };
  const withToken = (api: (server: ScriptedApi) => void = () => {}): Promise<Watching> =>
    start({
      token: 'first',
      before: (server) => {
        server.put(PODS, podNamed('a'));
        api(server);
      },
      access: (url, { texts }) => {
        texts.set('/kubeconfig', kubeconfig(url));
        texts.set(TOKEN_FILE, 'first\n');
        return { place, kubeconfig: { path: { text: '/kubeconfig', place }, context: undefined } };
      },
    });

  it('goes with every request, and is read again for each', async () => {
    const { api, until, services } = await withToken();
    await until('the watch', () => api.watching === 1);
    services.texts.set(TOKEN_FILE, 'second');
    api.token = 'second';
    await services.clock.advance(5_000);
    api.endWatches();
    await until('the next watch', () => api.requests.length === 3);
    assert.deepEqual(
      api.requests.map(({ token, status }) => `${token} ${status}`),
      ['first 200', 'first 200', 'second 200'],
    );
    assert.deepEqual(services.log.records, []);
  });

  it('that expires is a failure until the file has a new one', async () => {
    const { api, until, services, watch } = await withToken();
    await until('the watch', () => api.watching === 1);
    api.token = 'second';
    await services.clock.advance(5_000);
    api.endWatches();
    await until('the failure', () => watch.state.failure !== undefined);
    assert.match(watch.state.failure ?? '', /^401/);
    // The kubelet replaces the file; for a moment there is none.
    services.texts.delete(TOKEN_FILE);
    await services.clock.advance(1_000);
    services.texts.set(TOKEN_FILE, 'second');
    await until('the watch', () => api.watching === 1, 500);
    assert.equal(watch.state.failure, undefined);
  });

  it('that changes while a request is under way is used at once', async () => {
    const { api, until, services } = await withToken((server) =>
      server.faults.push({ status: 401 }),
    );
    // The request carries the old token; before its answer arrives the file has the new one.
    services.texts.set(TOKEN_FILE, 'second');
    api.token = 'second';
    await until('the watch', () => api.watching === 1);
    assert.deepEqual(
      api.requests.slice(0, 2).map(({ token, status }) => `${token} ${status}`),
      ['first 401', 'second 200'],
    );
    assert.deepEqual(services.log.records, []);
  });
});
