import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import dnsPacket, { type Answer } from 'dns-packet';
import { isHostName, queryFor, replyTo } from '../../../../init/endpoints/message.ts';

const NAME = '_dns._udp.dns-pods.kube-system.svc.cluster.local';
const QUERY = queryFor(0xabcd, NAME, 'SRV');

/** `dns-packet` compresses nothing: what compression does is written by hand below. */
function reply(answers: Answer[], additionals: Answer[] = []): Buffer {
  const questions = [{ type: 'SRV', class: 'IN', name: NAME }] as const;
  const packet = { type: 'response', id: 0xabcd, answers, additionals } as const;
  return dnsPacket.encode({ ...packet, questions: [...questions] });
}

const srv = (target: string, port: number, ttl = 30): Answer => ({
  type: 'SRV',
  name: NAME,
  ttl,
  data: { target, port },
});

describe('query for endpoints', () => {
  it('is what another implementation reads', () => {
    const { id, questions, flag_rd } = dnsPacket.decode(Buffer.from(QUERY));
    assert.deepEqual([id, flag_rd], [0xabcd, true]);
    assert.deepEqual(questions, [{ name: NAME, type: 'SRV', class: 'IN' }]);
  });

  it('is none for what cannot be the name of a host', () => {
    for (const name of ['', 'a..b', 'a.', 'a b', 'é', 'x'.repeat(64), `${'a.'.repeat(127)}a`])
      assert.throws(() => queryFor(1, name, 'A'), RangeError, name);
    assert.equal(isHostName('_dns-tcp._tcp.a'), true);
  });
});

describe('reply to it', () => {
  it('has ports and targets, and the addresses that came with them', () => {
    const addresses: Answer[] = [
      { type: 'A', name: 'Pod-1.example', ttl: 20, data: '10.2.0.2' },
      { type: 'AAAA', name: 'pod-2.example', ttl: 5, data: 'fd02::2' },
      { type: 'TXT', name: 'pod-2.example', ttl: 5, data: 'nothing for us' },
    ];
    const read = replyTo(QUERY, reply([srv('Pod-1.example', 1053)], addresses));
    assert.deepEqual(read, {
      rcode: 0,
      answers: [{ name: NAME, ttlSeconds: 30, data: { target: 'pod-1.example', port: 1053 } }],
      additionals: [
        { name: 'pod-1.example', ttlSeconds: 20, data: { address: '10.2.0.2' } },
        { name: 'pod-2.example', ttlSeconds: 5, data: { address: 'fd02::2' } },
      ],
    });
  });

  it('may be compressed', () => {
    const head = reply([]);
    head.writeUInt16BE(1, 6);
    // Owner: the question's name; target: `pod.` and the question's name from its third label on.
    const third = 12 + 1 + '_dns'.length + 1 + '_udp'.length;
    const target = [3, ...Buffer.from('pod'), 0xc0, third];
    const data = [0, 0, 0, 0, 0, 53, ...target];
    const record = [0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 9, 0, data.length, ...data];
    const read = replyTo(QUERY, Buffer.concat([head, Buffer.from(record)]));
    const data0 = { target: 'pod.dns-pods.kube-system.svc.cluster.local', port: 53 };
    assert.deepEqual(read?.answers, [{ name: NAME, ttlSeconds: 9, data: data0 }]);
  });

  it('keeps its code', () => {
    const denied = reply([]);
    denied[3] = 3;
    assert.deepEqual(replyTo(QUERY, denied), { rcode: 3, answers: [], additionals: [] });
  });

  it('is none where it answers something else, is cut off or goes round in circles', () => {
    const good = reply([srv('pod.example', 53)]);
    const changed = (at: number, value: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes[at] = value;
      return bytes;
    };
    assert.notEqual(replyTo(QUERY, good), undefined);
    assert.equal(replyTo(QUERY, changed(1, 0)), undefined, 'ID');
    assert.equal(replyTo(QUERY, changed(2, 0x01)), undefined, 'a query');
    assert.equal(replyTo(QUERY, changed(2, 0x83)), undefined, 'truncated');
    assert.equal(replyTo(QUERY, changed(5, 0)), undefined, 'no question');
    assert.equal(replyTo(QUERY, changed(14, 0x78)), undefined, 'another name');
    assert.equal(replyTo(QUERY, changed(QUERY.length - 3, 1)), undefined, 'another type');
    for (let length = 0; length < good.length; length++)
      assert.equal(replyTo(QUERY, good.subarray(0, length)), undefined, `cut at ${length}`);
    const long = reply([srv(Array(120).fill('ab').join('.'), 53)]);
    assert.equal(replyTo(QUERY, long), undefined, 'a name of 361 bytes');
    const itself = Buffer.concat([
      good.subarray(0, QUERY.length),
      Buffer.from([0xc0, QUERY.length]),
    ]);
    assert.equal(replyTo(QUERY, Buffer.concat([itself, Buffer.alloc(20)])), undefined, 'loop');
  });
});
