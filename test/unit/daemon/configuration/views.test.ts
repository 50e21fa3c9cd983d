import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { Query } from '../../../../agent/query/query.ts';
import type { ServerLabel } from '../../../../agent/query/services/block.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { assembled } from './assembling.ts';

const VIEWS = `
example.org {
    bind 127.0.0.1
    prometheus
    view addresses {
        expr type() in ['A', 'AAAA']
    }
    whoami
}
example.org {
    bind 127.0.0.1
    prometheus
    view secure {
        expr do()
    }
    whoami
}
org {
    bind 127.0.0.1
    whoami
}
`;

const SECURE = { dnssecOk: true, udpSizeBytes: 1_232 };

describe('views of one zone', () => {
  const { serverConfig, rows } = assembled(VIEWS);
  const table = serverConfig.tables[0];
  const zoneOf = (query: Query): string | undefined => table?.find(query)?.zone;

  it('the first view that matches a query answers it', () => {
    const first = table?.find(queryFor('www.example.org', 'A', SECURE));
    const second = table?.find(queryFor('www.example.org', 'MX', SECURE));
    assert.equal(first?.zone, 'example.org.');
    assert.equal(second?.zone, 'example.org.');
    assert.notEqual(first?.handler, second?.handler);
  });

  it('a query that matches no view goes to the next shorter zone', () => {
    assert.equal(zoneOf(queryFor('www.example.org', 'MX')), 'org.');
    assert.equal(zoneOf(queryFor('www.example.com', 'MX')), undefined);
  });

  it('label series and enabled plugins', () => {
    assert.deepEqual(rows, [
      'dns://127.0.0.1:53 example.org. addresses',
      'dns://127.0.0.1:53 example.org. secure',
      'dns://127.0.0.1:53 dropped ',
    ]);
    const views = new Set(serverConfig.enabled.map(({ zone, view }) => `${zone} ${view}`));
    assert.deepEqual([...views], ['example.org. addresses', 'example.org. secure', 'org. ']);
  });

  it('are known to the plugins of their blocks, which name their series after them', () => {
    const { views } = assembled(VIEWS.replaceAll('whoami', 'cache\n    whoami'));
    assert.deepEqual(views, ['addresses', 'secure', '']);
  });

  it('have identities of their own', () => {
    const { blockIds } = assembled(VIEWS.replaceAll('whoami', 'cache\nwhoami'));
    assert.equal(new Set(blockIds).size, 3);
  });

  it('a view that can never match is refused', () => {
    const block = 'a.example {\nbind 127.0.0.1\nwhoami\n}\n';
    const viewed = block.replace('whoami', 'view v {\nexpr do()\n}\nwhoami');
    assembled(viewed + block);
    assert.throws(() => assembled(block + viewed), ConfigError);
    assert.throws(() => assembled(block + block), ConfigError);
  });
});

describe('metadata', () => {
  it('is collected before views are evaluated, and only where a block uses it', () => {
    const text = `. {
      bind 127.0.0.1
      metadata example.org
      view named {
        expr metadata('view/name') == ''
      }
      whoami
    }`;
    const { serverConfig } = assembled(text);
    const inside = queryFor('www.example.org', 'A');
    const outside = queryFor('www.example.com', 'A');
    serverConfig.tables[0]?.find(inside);
    serverConfig.tables[0]?.find(outside);
    assert.equal(inside.metadata?.get('view/name'), 'named');
    assert.equal(outside.metadata, undefined);
  });

  it('is dropped with the query', () => {
    const query = queryFor('www.example.org', 'A');
    query.metadata = new Map([['a/b', 'c']]);
    const server: ServerLabel = query.server;
    query.receive(query.wire, query.length, 'udp', server, 0, () => query.client);
    assert.equal(query.metadata, undefined);
    const name = nameFromText('a.');
    const question = { name, type: 1, dnssecOk: false, checkingDisabled: false, server };
    assert.equal(Query.internal(question, 0).metadata, undefined);
  });
});

describe('timeouts', () => {
  it('apply to every address of their block; the last of several values counts', () => {
    const { serverConfig } = assembled(`
      a.example {
        bind 127.0.0.1
        timeouts {
          read 3s
          idle 20s
        }
        whoami
      }
      b.example {
        bind 127.0.0.1
        timeouts {
          idle 30s
        }
        whoami
      }
      c.example:54 {
        bind 127.0.0.1
        whoami
      }`);
    assert.deepEqual(serverConfig.tcpTimeouts, [{ readMs: 3_000, idleMs: 30_000 }]);
  });
});
