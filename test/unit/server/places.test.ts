import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { type Endpoint, formatEndpoint } from '../../../agent/base/address.ts';
import { behind, placesOf } from '../../../agent/server/listen/places.ts';

/** `10.0.0.1:53`, `:53`, `[::]:53`. */
function endpoint(text: string): Endpoint {
  const portAt = text.lastIndexOf(':');
  const address = text.slice(0, portAt).replace(/^\[|\]$/g, '');
  return { address, port: Number(text.slice(portAt + 1)) };
}

/** `socket` where it is its own listener, else `socket of listener`. */
function plan(listeners: readonly string[], intercepted: readonly string[] = []): string[] {
  const places = placesOf(listeners.map(endpoint), intercepted.map(endpoint));
  return places.map(({ at, listener }) => {
    const [socket, of] = [formatEndpoint(at), formatEndpoint(listener)];
    return socket === of ? socket : `${socket} of ${of}`;
  });
}

describe('sockets for listeners', () => {
  const V4 = '0.0.0.0:53';
  const V6 = '[::]:53';
  for (const [listeners, intercepted, expected] of [
    [['10.0.0.1:53', '[fd00::1]:53'], [], ['10.0.0.1:53', '[fd00::1]:53']],
    [[':53'], [], [`${V4} of :53`, `${V6} of :53`]],
    [[V4], [], [V4, `${V6} of ${V4}`]],
    [[V6], [], [`${V4} of ${V6}`, V6]],
    [[V6, V4], [], [V4, V6]],
    [[':53', V4], [], [V4, `${V6} of :53`]],
    [[':53', ':54'], [], [`${V4} of :53`, `${V6} of :53`, '0.0.0.0:54 of :54', '[::]:54 of :54']],
    // Specific addresses come first, and do not belong to the wildcard.
    [[':53', '10.0.0.1:53'], [], ['10.0.0.1:53', `${V4} of :53`, `${V6} of :53`]],
    // An intercepted address has a socket of its own, which belongs to the listener that covers it.
    [
      [':53'],
      ['10.0.0.1:53', '[fd00::1]:53'],
      ['10.0.0.1:53 of :53', '[fd00::1]:53 of :53', `${V4} of :53`, `${V6} of :53`],
    ],
    [
      [':53', V6],
      ['10.0.0.1:53', '[fd00::1]:53'],
      ['10.0.0.1:53 of :53', `[fd00::1]:53 of ${V6}`, `${V4} of :53`, V6],
    ],
    [['10.0.0.1:53'], ['10.0.0.1:53', '10.0.0.2:53'], ['10.0.0.1:53']],
    [[':5353'], ['10.0.0.1:53'], ['0.0.0.0:5353 of :5353', '[::]:5353 of :5353']],
    [[':53', '10.0.0.1:53'], ['10.0.0.1:53'], ['10.0.0.1:53', `${V4} of :53`, `${V6} of :53`]],
  ] as const)
    it(`${listeners.join(' ')}${intercepted.length > 0 ? `, intercepted ${intercepted.join(' ')}` : ''}`, () => {
      assert.deepEqual(plan(listeners, intercepted), expected);
    });
});

it('a listener serves the zones of the wildcards that cover it, the most specific first', () => {
  const all = [':53', '0.0.0.0:53', '[::]:53', '10.0.0.1:53', '[fe80::1%eth0]:53', ':54'];
  const listeners = all.map(endpoint);
  const behindOf = (text: string) => behind(endpoint(text), listeners).map(formatEndpoint);
  assert.deepEqual(behindOf('10.0.0.1:53'), ['0.0.0.0:53', ':53', '[::]:53']);
  assert.deepEqual(behindOf('[fe80::1%eth0]:53'), ['[::]:53', ':53', '0.0.0.0:53']);
  assert.deepEqual(behindOf('0.0.0.0:53'), [':53', '[::]:53']);
  assert.deepEqual(behindOf('[::]:53'), [':53', '0.0.0.0:53']);
  assert.deepEqual(behindOf(':53'), ['0.0.0.0:53', '[::]:53']);
  assert.deepEqual(behindOf(':54'), []);
});
