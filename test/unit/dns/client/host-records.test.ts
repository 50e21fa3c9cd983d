import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import dnsPacket, { type Answer } from 'dns-packet';
import {
  addressesOf,
  type HostRecord,
  readHostRecords,
} from '../../../../agent/dns/client/host-records.ts';
import { readRecords } from '../../../../agent/dns/records.ts';

const NAME = '_dns._udp.dns-pods.kube-system.svc.cluster.local';

/** `dns-packet` does not compress: compressed names are written by hand below. */
function message(answers: Answer[], additionals: Answer[] = []): Buffer {
  const questions = [{ type: 'SRV', class: 'IN', name: NAME }] as const;
  return dnsPacket.encode({ type: 'response', answers, additionals, questions: [...questions] });
}

function read(wire: Buffer): HostRecord[] | undefined {
  const records = readRecords(wire);
  assert.ok(records);
  return readHostRecords(wire, records);
}

const srv = (target: string, port: number): Answer => ({
  ...{ type: 'SRV', name: NAME, ttl: 30 },
  data: { target, port },
});

describe('records that find servers', () => {
  it('are ports with targets, and addresses; no others', () => {
    const wire = message(
      [srv('Pod-1.example', 1053)],
      [
        { type: 'A', name: 'Pod-1.example', ttl: 20, data: '10.2.0.2' },
        { type: 'AAAA', name: 'pod-1.example', ttl: 5, data: 'fd02::2' },
        { type: 'TXT', name: 'pod-1.example', ttl: 5, data: 'no address' },
        { type: 'A', class: 'CH', name: 'pod-1.example', ttl: 5, data: '10.2.0.3' },
      ],
    );
    const records = read(wire) ?? [];
    const [one, ...others] = records;
    assert.deepEqual(one, {
      ...{ section: 'answer', name: NAME, ttlSeconds: 30 },
      data: { target: 'pod-1.example', port: 1053 },
    });
    const additional = { section: 'additional', name: 'pod-1.example' };
    assert.deepEqual(others, [
      { ...additional, ttlSeconds: 20, data: { address: '10.2.0.2' } },
      { ...additional, ttlSeconds: 5, data: { address: 'fd02::2' } },
    ]);
    assert.deepEqual(addressesOf(records, 'pod-1.example'), ['10.2.0.2', 'fd02::2']);
    assert.deepEqual(addressesOf(records, NAME), []);
  });

  it('may have compressed names', () => {
    const head = message([]);
    head.writeUInt16BE(1, 6);
    // Owner: the question's name. Target: `pod.` and the question's name from its third label on.
    const third = 12 + 1 + '_dns'.length + 1 + '_udp'.length;
    const rdata = [0, 0, 0, 0, 0, 53, 3, ...Buffer.from('pod'), 0xc0, third];
    const record = [0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 9, 0, rdata.length, ...rdata];
    const data = { target: 'pod.dns-pods.kube-system.svc.cluster.local', port: 53 };
    assert.deepEqual(read(Buffer.concat([head, Buffer.from(record)])), [
      { section: 'answer', name: NAME, ttlSeconds: 9, data },
    ]);
  });

  it('have at most 31 bits of TTL, and the length of their type', () => {
    const wire = message([{ type: 'A', name: 'a', ttl: 0xffff_ffff, data: '10.2.0.2' }]);
    assert.equal(read(wire)?.[0]?.ttlSeconds, 0x7fff_ffff);
    wire.writeUInt16BE(28, wire.length - 14);
    assert.deepEqual(read(wire), [], 'AAAA of four bytes');
  });

  it('are none at all where a target is too long, or leads to itself', () => {
    assert.equal(read(message([srv(Array(120).fill('ab').join('.'), 53)])), undefined);
    const wire = message([srv('abcd', 53)]);
    const target = wire.length - 6;
    wire.writeUInt16BE(0xc000 | target, target);
    assert.equal(read(wire), undefined);
  });
});
