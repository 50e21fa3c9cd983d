import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeniedExpansions } from '../../../../agent/plugins/autopath/denied-expansions.ts';
import { familyOf } from '../../../support/metrics/families.ts';
import { ReadableMetrics } from '../../../support/services.ts';

const NAME = 'nodens_autopath_denied_expansions_total';

test('100 namespaces have series of their own, however often the plugin is made again', () => {
  const metrics = new ReadableMetrics();
  for (let reload = 0; reload < 5; reload++) {
    const denied = new DeniedExpansions(metrics);
    for (let i = 0; i < 60; i++) denied.count(`n${60 * reload + i}`);
    denied.count('n0');
  }
  const values = familyOf(metrics, NAME)?.values ?? [];
  assert.equal(values.length, 101);
  const value = (namespace: string) => metrics.value(NAME, { client_namespace: namespace });
  assert.deepEqual([value('n0'), value('n99'), value('n100'), value('other')], [6, 1, 0, 200]);
});
