import assert from 'node:assert/strict';
import { it } from 'node:test';
import { initReporter } from '../../../agent/daemon/init-reporter.ts';
import { ReadableMetrics, RecordingLogger } from '../../support/services.ts';

const STATES = ['off', 'waiting', 'intercepting', 'withdrawn'];

it('shows the state that init reports, and none while init is not connected', () => {
  const metrics = new ReadableMetrics();
  const { onStatus, onGone } = initReporter(metrics, new RecordingLogger());
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
