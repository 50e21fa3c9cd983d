import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerLines, ask, queryFor } from '../../../support/dns/queries.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';
import { loadbalance, plain, THREE } from './balancing.ts';

describe('loadbalance weighted', () => {
  const WEIGHTS =
    '# mine\nWWW.example\n10.0.0.1 3\n10.0.0.3 2 # two\n\nother.example\n10.0.0.2 255\n';
  const withFile = (random = () => 0, text = WEIGHTS): FakeServices => {
    const services = fakeServices({ random });
    services.texts.set('/weights', text);
    return services;
  };
  const order = (plugin: ReturnType<typeof loadbalance>): string[] =>
    answerLines(ask(plugin, queryFor('www.example', 'A'), () => plain({ answers: THREE })));

  for (const [random, first] of [
    [0, '1'],
    [0.49, '1'],
    [0.51, '2'],
    [0.66, '2'],
    [0.67, '3'],
    [0.999, '3'],
  ] as const) {
    it(`draws 10.0.0.${first} at ${random} of weights 3, 1, 2`, () => {
      const plugin = loadbalance(
        'loadbalance weighted /weights',
        withFile(() => random),
      );
      assert.equal(order(plugin)[0], `A 10.0.0.${first}`);
    });
  }

  it('reads the file again when it changes, and keeps the last good weights', () => {
    const services = withFile(() => 0.5);
    const plugin = loadbalance('loadbalance weighted /weights', services);
    plugin.start?.();
    services.texts.set('/weights', 'www.example\n10.0.0.3 255\n');
    services.touch('/weights');
    assert.equal(order(plugin)[0], 'A 10.0.0.3');
    services.texts.set('/weights', 'www.example\n10.0.0.1 256\n');
    services.touch('/weights');
    assert.equal(order(plugin)[0], 'A 10.0.0.3');
    assert.match(services.log.records[0]?.message ?? '', /\/weights:2: "256" is not a weight/);
    plugin.stop?.();
    services.texts.set('/weights', 'www.example\n10.0.0.1 255\n');
    services.touch('/weights');
    assert.equal(order(plugin)[0], 'A 10.0.0.3');
  });

  it('starts without the file if it may appear later', () => {
    const services = fakeServices();
    order(loadbalance('loadbalance weighted /weights', services));
    assert.equal(services.log.records[0]?.level, 'warn');
    assert.throws(() => loadbalance('loadbalance weighted /weights {\nreload 0s\n}', services), {
      name: 'ConfigError',
      message: /^\/etc\/Corefile:2: weight file \/weights cannot be read: ENOENT/,
    });
  });

  for (const [text, message] of [
    ['10.0.0.1 3', /:1: an address needs a domain/],
    ['a.example\n10.0.0.1 0', /:2: "0" is not a weight/],
    ['a.example\n10.0.0.1 1.5', /:2: "1.5" is not a weight/],
    ['a.example\n10.0.0 1', /:2: "10.0.0" is not an IP address/],
    ['a.example\n10.0.0.1 1 2', /:2: "2" is one word too many/],
    ['a..example', /:1: "a..example" is not a domain name/],
  ] as const) {
    it(`refuses the weights ${JSON.stringify(text)}`, () => {
      const services = withFile(() => 0, text);
      assert.throws(() => loadbalance('loadbalance weighted /weights', services), {
        name: 'ConfigError',
        message,
      });
    });
  }
});
