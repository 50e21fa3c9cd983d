import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/health/setup.ts';
import type { Plugin } from '../../../../agent/query/plugin.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { familyOf } from '../../../support/metrics/families.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

/** A clock whose timers fire late, as they do when the event loop is blocked. */
class HeldUpClock extends FakeClock {
  lateMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.lateMs;
  }
}

function setUp(text: string, clock = new HeldUpClock()) {
  const services: FakeServices = fakeServices({ clock });
  const { directive, block } = parseDirective(text);
  const plugin: Plugin = setup(directive, block, services);
  return { services, plugin, clock };
}

function checks(services: FakeServices): Record<string, number> {
  const family = familyOf(services.metrics, 'coredns_health_request_duration_seconds');
  return Object.fromEntries(
    (family?.values ?? []).map(({ labels, metricName, value }) => [labels.le ?? metricName, value]),
  );
}

describe('health', () => {
  it('returns OK at /health, on :8080 by default', async () => {
    const { services } = setUp('health');
    assert.deepEqual(
      services.pages.map(({ address, path }) => [address, path]),
      [[':8080', '/health']],
    );
    const response = await services.pages[0]?.handler();
    assert.deepEqual([response?.status, response?.body], [200, 'OK']);
    assert.equal(
      setUp('health 169.254.20.10:8080').services.pages[0]?.address,
      '169.254.20.10:8080',
    );
    assert.equal(setUp('health [fd00::10]:8080').services.pages[0]?.address, '[fd00::10]:8080');
  });

  it('has the configured lameduck, and none by default', () => {
    assert.equal(setUp('health').services.asked.lameduckMs, undefined);
    assert.equal(setUp('health {\nlameduck 5s\n}').services.asked.lameduckMs, 5_000);
  });

  it('measures its own lag once a second', async () => {
    const { services, plugin, clock } = setUp('health');
    await clock.advance(10_000);
    assert.equal(checks(services)['+Inf'], 0, 'nothing may run before start');
    plugin.start?.();
    await clock.advance(2_000);
    assert.equal(checks(services)['0.00025'], 2);
    clock.lateMs = 30;
    await clock.advance(1_000);
    assert.equal(checks(services)['0.00025'], 2);
    assert.equal(checks(services)['0.25'], 3);
    assert.equal(services.metrics.value('coredns_health_request_failures_total'), 0);
  });

  it('counts a check three seconds late as failed', async () => {
    const { services, plugin, clock } = setUp('health');
    plugin.start?.();
    clock.lateMs = 3_000;
    await clock.advance(1_000);
    assert.equal(services.metrics.value('coredns_health_request_failures_total'), 1);
    assert.equal(checks(services)['+Inf'], 1);
  });

  it('leaves no timer behind when stopped', async () => {
    const { plugin, clock } = setUp('health');
    plugin.start?.();
    await clock.advance(1_500);
    plugin.stop?.();
    assert.equal(clock.pendingTimers, 0);
  });

  it('refuses bad addresses, options and durations', () => {
    for (const text of [
      'health 8080',
      'health 169.254.20.10 10.96.0.10:8080',
      'health {\nlameduck\n}',
      'health {\nlameduck soon\n}',
      'health {\nlameduck -5s\n}',
      'health {\nlame 5s\n}',
    ]) {
      assert.throws(() => setUp(text), ConfigError, text);
    }
  });
});
