import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode } from 'dns-packet';
import { TYPE } from '../../../agent/dns/iana.ts';
import { readRecords } from '../../../agent/dns/records.ts';

const wire = encode({
  type: 'response',
  questions: [{ name: 'www.example.org', type: 'A' }],
  answers: [
    { name: 'www.example.org', type: 'CNAME', ttl: 7, data: 'x.example.org' },
    { name: 'x.example.org', type: 'A', ttl: 0x80000001, data: '192.0.2.1' },
  ],
  authorities: [{ name: 'example.org', type: 'NS', ttl: 300, data: 'ns.example.org' }],
  additionals: [{ name: 'ns.example.org', type: 'AAAA', class: 'CH', ttl: 0, data: '::1' }],
});

describe('readRecords', () => {
  it('finds section, type, class, TTL and RDATA of each record', () => {
    assert.deepEqual(
      readRecords(wire)?.map((r) => [
        r.section,
        r.type,
        r.class,
        r.ttlSeconds,
        r.rdataEnd - r.rdataStart,
      ]),
      [
        ['answer', TYPE.CNAME, 1, 7, 15],
        ['answer', TYPE.A, 1, 0x80000001, 4],
        ['authority', TYPE.NS, 1, 300, 16],
        ['additional', TYPE.AAAA, 3, 0, 16],
      ],
    );
  });

  it('leaves no gap between records', () => {
    const records = readRecords(wire) ?? [];
    for (const [i, record] of records.entries()) {
      assert.equal(record.rdataStart, record.ttlOffset + 6);
      assert.equal(record.rdataEnd, records[i + 1]?.start ?? wire.length);
    }
  });

  it('is undefined for every shorter message', () => {
    for (let end = 0; end < wire.length; end++) assert.equal(readRecords(wire, end), undefined);
  });

  it('tolerates bytes after the last record', () => {
    assert.deepEqual(readRecords(Buffer.concat([wire, Buffer.of(1, 2, 3)])), readRecords(wire));
  });
});
