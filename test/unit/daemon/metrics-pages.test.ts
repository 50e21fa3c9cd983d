import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembled } from './configuration/assembling.ts';

const block = (zone: string, prometheus: string): string =>
  `${zone}:1053 {\n bind lo\n ${prometheus}\n whoami\n}\n`;

describe('pages of metrics in a configuration', () => {
  it('have older names where any block with the same address asks for them', () => {
    const { serverConfig } = assembled(
      block('a.test', 'prometheus :9253') +
        block('b.test', 'prometheus :9253 {\n older_names\n }') +
        block('c.test', 'prometheus :9253') +
        block('d.test', 'prometheus :9254'),
    );
    assert.deepEqual(
      [...serverConfig.metricsPages],
      [
        [':9253', { isOlder: true }],
        [':9254', { isOlder: false }],
      ],
    );
  });

  it('can name traces where any block traces queries', () => {
    const plain = block('a.test', 'prometheus :9253');
    assert.equal(assembled(plain).serverConfig.hasExemplars, false);
    const traced = plain + block('b.test', 'trace otlp');
    assert.equal(assembled(traced).serverConfig.hasExemplars, true);
  });
});
