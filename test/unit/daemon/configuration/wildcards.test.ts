/** Blocks with and without `bind` on one port. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatEndpoint } from '../../../../agent/base/address.ts';
import { ConfigError } from '../../../../agent/base/errors.ts';
import type { ServerConfig } from '../../../../agent/daemon/configuration/server-config-builder.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { assembled } from './assembling.ts';

const block = (zone: string, ...lines: string[]): string =>
  `${zone} {\n${lines.join('\n')}\nprometheus\nwhoami\n}\n`;

const endpointsOf = ({ endpoints }: ServerConfig): string[] => endpoints.map(formatEndpoint);

/** The zone that answers `name` on the listener `at`. */
function zoneAt(serverConfig: ServerConfig, at: string, name: string): string | undefined {
  const index = endpointsOf(serverConfig).indexOf(at);
  return serverConfig.tables[index]?.find(queryFor(name, 'A'))?.zone;
}

describe('a block without bind', () => {
  it('has one listener, for any number of addresses of the node', () => {
    const { serverConfig, rows } = assembled(block('.'));
    assert.deepEqual(endpointsOf(serverConfig), [':53']);
    assert.deepEqual(rows, ['dns://:53 . ', 'dns://:53 dropped ']);
    assert.deepEqual(
      new Set(serverConfig.enabled.map(({ server }) => server)),
      new Set(['dns://:53']),
    );
  });

  it('is served on addresses of other blocks too, where those blocks do not have its zone', () => {
    const text = block('.') + block('a.test', 'bind 10.0.0.1') + block('b.test', 'bind ::');
    const { serverConfig, rows } = assembled(text);
    assert.deepEqual(endpointsOf(serverConfig), [':53', '10.0.0.1:53', '[::]:53']);
    assert.equal(zoneAt(serverConfig, ':53', 'a.test'), '.');
    assert.equal(zoneAt(serverConfig, '10.0.0.1:53', 'www.a.test'), 'a.test.');
    assert.equal(zoneAt(serverConfig, '10.0.0.1:53', 'other.test'), '.');
    assert.equal(zoneAt(serverConfig, '[::]:53', 'b.test'), 'b.test.');
    assert.equal(zoneAt(serverConfig, '[::]:53', 'other.test'), '.');
    assert.ok(rows.includes('dns://10.0.0.1:53 . '));
  });

  it('beside a block with bind for the same zone is refused as in CoreDNS', () => {
    for (const bind of ['10.0.0.1', '0.0.0.0', '::', '192.0.2.77']) {
      const bound = block('a.test', `bind ${bind}`);
      for (const text of [block('a.test') + bound, bound + block('a.test')])
        assert.throws(() => assembled(text), {
          constructor: ConfigError,
          message: /a\.test\. is already served on every address of port 53, by a block without/,
        });
    }
    assembled(block('a.test') + block('a.test:54', 'bind 10.0.0.1'));
  });
});

it('with 0.0.0.0 and an address bound, the address wins for the zone that both serve', () => {
  const view = "view v {\nexpr type() in ['A']\n}";
  const text =
    block('a.test', 'bind 0.0.0.0') +
    block('a.test', 'bind 10.0.0.1') +
    block('b.test', 'bind 0.0.0.0') +
    block('b.test', 'bind 10.0.0.2', view);
  const { serverConfig } = assembled(text);
  const routesAt = (at: string, name: string, type: 'A' | 'AAAA') => {
    const index = endpointsOf(serverConfig).indexOf(at);
    return serverConfig.tables[index]?.find(queryFor(name, type))?.handler;
  };
  const wild = routesAt('0.0.0.0:53', 'a.test', 'A');
  assert.ok(wild !== undefined);
  assert.notEqual(routesAt('10.0.0.1:53', 'a.test', 'A'), wild);
  assert.equal(routesAt('10.0.0.2:53', 'a.test', 'A'), wild);
  // A query that does not match the view goes to the wildcard's block.
  const wildB = routesAt('0.0.0.0:53', 'b.test', 'A');
  assert.notEqual(routesAt('10.0.0.2:53', 'b.test', 'A'), wildB);
  assert.equal(routesAt('10.0.0.2:53', 'b.test', 'AAAA'), wildB);
});

it('the identity of a block without bind, which is the key of its cache, does not depend on addresses', () => {
  const cached = (text: string) => assembled(text.replaceAll('whoami', 'cache\nwhoami'));
  assert.deepEqual(cached(block('.')).blockIds, [0]);
  const text = block('a', 'bind 0.0.0.0') + block('a', 'bind 10.0.0.1');
  assert.deepEqual(cached(text).blockIds, [0, 1]);
});
