/** The watches of a directive from start to stop, and over reloads. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/kubernetes/setup.ts';
import type { Plugin } from '../../../../agent/query/plugin.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import type { FakeKubernetesApi } from '../../../support/kubernetes/fake-api.ts';
import { sliceObject } from '../../../support/kubernetes/objects.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';
import { SLICES, synced } from './watched.ts';

const DEFAULT = 'kubernetes cluster.local';

const apiOf = (services: FakeServices): FakeKubernetesApi => services.kubernetes;
const open = (services: FakeServices): number =>
  apiOf(services).watches.filter(({ isClosed }) => !isClosed).length;

function syncAll(services: FakeServices): void {
  for (const watch of apiOf(services).watches) watch.list([]);
}

async function prepared(services: FakeServices, text = DEFAULT): Promise<Plugin> {
  const plugin = setUp(setup, text, services);
  const preparing = plugin.prepare?.('at once');
  await services.clock.advance(0);
  syncAll(services);
  await preparing;
  plugin.start?.();
  return plugin;
}

describe('kubernetes', () => {
  it('connects to nothing before prepare', () => {
    const services = fakeServices();
    setUp(setup, DEFAULT, services);
    assert.equal(apiOf(services).accesses.length, 0);
  });

  it('is prepared once every watch has synced', async () => {
    const services = fakeServices();
    const plugin = setUp(setup, DEFAULT, services);
    let isPrepared = false;
    void plugin.prepare?.('at once').then(() => {
      isPrepared = true;
    });
    await services.clock.advance(4_999);
    assert.equal(isPrepared, false);
    syncAll(services);
    await services.clock.advance(0);
    assert.equal(isPrepared, true);
  });

  it('does not wait for an API server that cannot be reached, nor longer than startup_timeout', async () => {
    const fails = async (act: (services: FakeServices) => Promise<void> | void): Promise<void> => {
      const services = fakeServices();
      const plugin = setUp(setup, `${DEFAULT} {\nstartup_timeout 2s\n}`, services);
      const preparing = plugin.prepare?.('at once');
      await services.clock.advance(0);
      await act(services);
      await preparing;
    };
    await fails((services) => {
      for (const watch of apiOf(services).watches) watch.fail('ECONNREFUSED');
    });
    await fails((services) => services.clock.advance(2_000));
  });

  it('rejects with what connect found wrong', async () => {
    const services = fakeServices();
    const place = { file: '/etc/Corefile', line: 2 };
    apiOf(services).error = new ConfigError(place, 'no token: mount one');
    const plugin = setUp(setup, DEFAULT, services);
    await assert.rejects(async () => await plugin.prepare?.('at once'), {
      message: /:2: no token/,
    });
    plugin.discard?.();
    apiOf(services).error = undefined;
    await prepared(services);
    assert.equal(open(services), 3);
  });

  it('shares its watches with other blocks and with the configuration after a reload', async () => {
    const services = fakeServices();
    const first = await prepared(services);
    const reverse = await prepared(services, 'kubernetes cluster.local in-addr.arpa {\nttl 30\n}');
    const reloaded = await prepared(services);
    assert.deepEqual([apiOf(services).watches.length, apiOf(services).accesses.length], [3, 1]);
    first.stop?.();
    first.stop?.();
    reverse.stop?.();
    await services.clock.advance(0);
    assert.equal(open(services), 3);
    reloaded.stop?.();
    await services.clock.advance(0);
    assert.equal(open(services), 0);
  });

  it('has watches of its own where the objects differ, or the API server', async () => {
    const services = fakeServices();
    for (const option of [
      'labels a=b',
      'namespaces x',
      'endpoint_pod_names',
      'endpoint https://192.0.2.9:6443',
      'max_age 30s',
    ])
      await prepared(services, `${DEFAULT} {\n${option}\n}`);
    assert.equal(open(services), 5 * 3);
    await prepared(services, `${DEFAULT} {\nnoendpoints\n}`);
    assert.equal(open(services), 17);
  });

  it('measures how long a change of a headless Service took to get here', async () => {
    const { services } = await synced();
    const { clock, metrics } = services;
    const change = (name: string, service: string, changedMs: number): void => {
      const slice = sliceObject(`shop/${name}`, service, ['10.0.0.2']) as { metadata: object };
      const annotations = {
        'endpoints.kubernetes.io/last-change-trigger-time': new Date(changedMs).toISOString(),
      };
      const metadata = { ...slice.metadata, annotations };
      apiOf(services)
        .watchOf(SLICES)
        .put({ ...slice, metadata });
    };
    const count = (le: string): number =>
      metrics.value('coredns_kubernetes_dns_programming_duration_seconds', { le });
    await clock.advance(10_000);
    const nowMs = clock.wallMs();
    change('db-1', 'db', nowMs - 3_000);
    assert.deepEqual([count('2.048'), count('4.096'), count('+Inf')], [0, 1, 1]);
    // Not of a Service with a ClusterIP, not without a time, and not of an object that comes again much later.
    change('web-1', 'web', nowMs - 3_000);
    change('db-1', 'db', nowMs - 3_600_000);
    apiOf(services)
      .watchOf(SLICES)
      .put(sliceObject('shop/db-1', 'db', ['10.0.0.3']));
    assert.equal(count('+Inf'), 1);
  });

  it('counts for /ready only where the Corefile asks for it', async () => {
    const services = fakeServices();
    assert.equal(setUp(setup, DEFAULT, services).ready, undefined);
    const plugin = setUp(setup, `${DEFAULT} {\nready\n}`, services);
    assert.equal(plugin.ready?.(), false);
    const preparing = plugin.prepare?.('at once');
    await services.clock.advance(5_000);
    await preparing;
    assert.equal(plugin.ready?.(), false);
    syncAll(services);
    assert.equal(plugin.ready?.(), true);
    await services.clock.advance(600_000);
    assert.equal(plugin.ready?.(), false);
    syncAll(services);
    assert.equal(plugin.ready?.(), true);
  });
});
