import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { wantsOpenMetrics } from '../../../../agent/observe/admin/accept.ts';

const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,' +
  'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
const PROMETHEUS_2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
const TEXT_FIRST =
  'text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2';
const OPEN = 'application/openmetrics-text';

describe('the format of the metrics page', () => {
  const cases: readonly (readonly [string | undefined, boolean, boolean])[] = [
    // Accept, with exemplars, without.
    [undefined, false, false],
    ['', false, false],
    ['*/*', false, false],
    ['text/html,application/xml;q=0.9,*/*;q=0.8', false, false],
    ['application/*', false, false],
    [PROMETHEUS_3, true, false],
    [PROMETHEUS_2, true, false],
    [TEXT_FIRST, false, false],
    [OPEN, true, true],
    ['APPLICATION/OpenMetrics-Text ; Version = "1.0.0" ; Q = 0.5', true, true],
    [`${OPEN};version=1.0.0, text/plain;q=0`, true, true],
    [`${OPEN}; version=0.0.1`, false, false],
    [`${OPEN};q=0`, false, false],
    [`${OPEN};q=x, text/plain`, false, false],
    [`${OPEN}, */*`, true, false],
    [`${OPEN};q=0.4, text/*;q=0.3, */*`, true, false],
    [`text/plain, ${OPEN}`, true, false],
    [`${',;='.repeat(5_000)}`, false, false],
    // What a client hides behind many ranges, or parameters, is not looked for.
    [`${'text/x,'.repeat(100)}${OPEN}`, false, false],
    [`${OPEN}${';x=1'.repeat(100)};q=0`, true, true],
  ];
  for (const [accept, withExemplars, without] of cases) {
    it(`is OpenMetrics: ${withExemplars} with exemplars, ${without} without, for ${accept?.slice(0, 70)}`, () => {
      assert.equal(wantsOpenMetrics(accept, true), withExemplars);
      assert.equal(wantsOpenMetrics(accept, false), without);
    });
  }
});
