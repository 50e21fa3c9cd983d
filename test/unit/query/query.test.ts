import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildQuery } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readQueryHead, VERDICT } from '../../../agent/dns/query-head.ts';
import { type Client, clientAt, Query } from '../../../agent/query/query.ts';
import { queryFor } from '../../support/dns/queries.ts';
import { RecordingMetrics } from '../../support/server/fixture.ts';

interface Asked {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly dnssecOk: boolean;
  readonly cd: boolean;
}

const BASE: Asked = {
  name: 'www.example.org',
  type: TYPE.A,
  class: CLASS.IN,
  dnssecOk: false,
  cd: false,
};

function queryOf(asked: Asked, flags: number = FLAG.RD, id = 1): Query {
  const query = new Query();
  const wire = buildQuery({
    name: nameFromText(asked.name),
    type: asked.type,
    class: asked.class,
    id,
    flags: flags | (asked.cd ? FLAG.CD : 0),
    dnssecOk: asked.dnssecOk,
    udpSizeBytes: 1232,
  });
  assert.equal(readQueryHead(wire, wire.length, query.head), VERDICT.answer);
  return query;
}

describe('keyIn', () => {
  const key = queryOf(BASE).keyIn(1);

  it('is the same for letter case, ID, RD and AD', () => {
    assert.equal(queryOf({ ...BASE, name: 'WWW.Example.ORG' }, FLAG.AD, 99).keyIn(1), key);
  });

  it('differs by block, name, type, class, DO and CD', () => {
    const others = [
      queryOf(BASE).keyIn(2),
      queryOf(BASE).keyIn(257),
      queryOf({ ...BASE, name: 'ww.example.org' }).keyIn(1),
      queryOf({ ...BASE, name: 'www\\.example.org' }).keyIn(1),
      queryOf({ ...BASE, type: TYPE.AAAA }).keyIn(1),
      queryOf({ ...BASE, type: TYPE.CAA }).keyIn(1),
      queryOf({ ...BASE, class: CLASS.CH }).keyIn(1),
      queryOf({ ...BASE, dnssecOk: true }).keyIn(1),
      queryOf({ ...BASE, cd: true }).keyIn(1),
      queryOf({ ...BASE, dnssecOk: true, cd: true }).keyIn(1),
    ];
    assert.equal(new Set([key, ...others]).size, others.length + 1);
  });

  it('is computed again for another block and for the next datagram', () => {
    const query = queryOf(BASE);
    const first = query.keyIn(1);
    assert.notEqual(query.keyIn(2), first);
    assert.equal(query.keyIn(1), first);
    const next = queryFor('other.example', 'A');
    query.head.name.set(next.name);
    query.head.nameLength = next.name.length;
    query.receive(next.wire, next.length, 'udp', next.server, 0, () => next.client);
    assert.equal(query.keyIn(1), next.keyIn(1));
  });

  it('is not changed when another query computes its key', () => {
    const before = `${key}`;
    queryOf({ ...BASE, name: 'zzz.example.net' }).keyIn(1);
    assert.equal(queryOf(BASE).keyIn(1), before);
  });
});

describe('a received query', () => {
  it('has the fields of the question', () => {
    const query = queryFor('WwW.Example', 'HTTPS', { dnssecOk: true, udpSizeBytes: 1232 });
    assert.equal(query.nameText, 'www.example.');
    assert.deepEqual([query.id, query.type, query.class], [4_711, TYPE.HTTPS, CLASS.IN]);
    assert.deepEqual(
      [query.dnssecOk, query.recursionDesired, query.checkingDisabled, query.isInternal],
      [true, true, false, false],
    );
  });

  it('determines its client once, and only on the first read', () => {
    let asked = 0;
    const source = (): Client => {
      asked++;
      return clientAt('::1', 1);
    };
    const query = queryFor('a', 'A');
    query.receive(query.wire, query.length, 'udp', query.server, 0, source);
    assert.equal(asked, 0);
    assert.equal(query.client, query.client);
    assert.equal(asked, 1);
  });

  it('has no state of the query before', () => {
    const query = queryFor('a', 'A');
    query.maxUdpBytes = 600;
    query.requestMetrics = new RecordingMetrics();
    query.budgetMs = 1;
    query.responseOptions = Buffer.from([0, 3, 0, 0]);
    query.metadata = new Map([['view/name', 'x']]);
    assert.equal(query.client.port, 40_053);
    const other: Client = clientAt('::1', 1);
    query.receive(query.wire, query.length, 'tcp', query.server, 5, () => other);
    assert.deepEqual(
      [query.maxUdpBytes, query.requestMetrics, query.arrivedMs],
      [1_232, undefined, 5],
    );
    assert.deepEqual([query.transport, query.client], ['tcp', other]);
    const { budgetMs, responseOptions, metadata } = query;
    const fresh = { budgetMs: new Query().budgetMs, responseOptions: undefined };
    assert.deepEqual({ budgetMs, responseOptions, metadata }, { ...fresh, metadata: undefined });
  });
});

describe('detach', () => {
  it('keeps bytes and client when the listener reads the next query', () => {
    const slot = { address: '10.0.0.1', port: 1 };
    const buffer = Buffer.alloc(512);
    const source = queryFor('a.example', 'A');
    const length = source.wire.copy(buffer);
    source.receive(buffer, length, 'udp', source.server, 0, () =>
      clientAt(slot.address, slot.port),
    );
    const before = Buffer.from(buffer.subarray(0, length));
    source.detach();
    buffer.fill(0xff);
    slot.address = '10.9.9.9';
    assert.deepEqual(source.wire, before);
    assert.equal(source.length, length);
    assert.equal(source.client.address, '10.0.0.1');
    assert.equal(source.nameText, 'a.example.');
  });
});

describe('Query.internal', () => {
  const question = {
    name: nameFromText('www.example.org'),
    type: TYPE.AAAA,
    dnssecOk: true,
    checkingDisabled: true,
    server: { index: 3, label: 'dns://127.0.0.1:53' },
  };
  const query = Query.internal(question, 42);

  it('is a recursive question that no client waits for', () => {
    assert.ok(query.isInternal && query.recursionDesired && query.checkingDisabled);
    assert.equal(query.head.flags & FLAG.AD, FLAG.AD);
    assert.deepEqual(
      [query.type, query.class, query.arrivedMs, query.server.index, query.transport],
      [TYPE.AAAA, CLASS.IN, 42, 3, 'udp'],
    );
    assert.equal(query.client.address, '');
  });

  it('has the header of a message with this question', () => {
    const received = queryOf({ ...BASE, type: TYPE.AAAA, dnssecOk: true, cd: true });
    assert.equal(query.keyIn(1), received.keyIn(1));
    assert.equal(query.head.labelCount, received.head.labelCount);
    assert.deepEqual(query.head.name, received.head.name);
    assert.deepEqual(query.name, received.name);
    assert.ok(query.head.hasOpt);
  });

  it('copies the name', () => {
    const name = question.name.slice();
    const copied = Query.internal({ ...question, name }, 0);
    name.fill(0x61);
    assert.equal(copied.nameText, 'www.example.org.');
  });

  it('stays the same after detach', () => {
    const detached = Query.internal(question, 0);
    detached.detach();
    assert.equal(detached.length, 0);
  });
});
