import assert from 'node:assert/strict';
import { it } from 'node:test';
import { initReporter } from '../../../agent/daemon/init-reporter.ts';
import { ReadableMetrics, RecordingLogger } from '../../support/services.ts';

const STATES = ['off', 'waiting', 'intercepting', 'withdrawn'];

it('shows the state that init reports, and none while init is not connected', () => {
  const metrics = new ReadableMetrics();
  const { onStatus, onGone } = initReporter(metrics, new RecordingLogger(), true);
  const shown = (): string[] =>
    STATES.filter((state) => metrics.value('nodens_interception_state', { state }) === 1);
  const status = {
    type: 'status',
    state: 'intercepting',
    backend: 'nft',
    setupErrors: {},
  } as const;
  assert.deepEqual(shown(), []);
  onStatus(status);
  assert.deepEqual(shown(), ['intercepting']);
  onGone();
  assert.deepEqual(shown(), []);
  onStatus(status);
  assert.deepEqual(shown(), ['intercepting']);
});

it('shows no state where no init is expected: an alert would fire for ever', () => {
  const metrics = new ReadableMetrics();
  initReporter(metrics, new RecordingLogger(), false);
  const names = [...metrics.families()].map(({ name }) => name);
  assert.ok(!names.includes('nodens_interception_state'));
});
