import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { simpleQuery } from '../../agent/dns/client/simple-query.ts';
import { FLAG } from '../../agent/dns/header.ts';
import { questionFor, type Reply, readAnswer } from '../../init/endpoints/ask.ts';
import { lookUp } from '../../init/endpoints/lookup.ts';
import { endpointsIn } from '../../init/firewall/nft/endpoint-dnat.ts';

const RUNS = { numRuns: 2_000, interruptAfterTimeLimit: 20_000 } as const;
const SERVICE = 'dns-pods.kube-system.svc.cluster.local';

/** Answers to `query` with anything behind the question: counts, records and pointers as they come. */
function hostile(query: Uint8Array): fc.Arbitrary<Buffer> {
  const counts = fc.tuple(
    fc.integer({ min: 0, max: 300 }),
    fc.nat(3),
    fc.integer({ min: 0, max: 0xffff }),
  );
  const byte = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 33, 28, 0xc0, 12, 4));
  return fc
    .tuple(counts, fc.array(byte, { maxLength: 400 }))
    .map(([[answers, authority, more], tail]) => {
      const bytes = Buffer.from([...query, ...tail]);
      bytes[2] = 0x80;
      for (const [at, count] of [
        [6, answers],
        [8, authority],
        [10, more],
      ] as const)
        bytes.writeUInt16BE(count, at);
      return bytes;
    });
}

test('whatever a server sends is a reply or none, and its names are bounded', () => {
  const question = questionFor(SERVICE, 'SRV');
  const query = simpleQuery(7, question, FLAG.RD);
  fc.assert(
    fc.property(hostile(query), (bytes) => {
      // Each byte of a name may be an escape of four characters.
      for (const { name } of readAnswer(7, question, bytes)?.records ?? [])
        assert.ok(name.length <= 4 * 253);
    }),
    RUNS,
  );
});

test('for any reply, rules contain only addresses and ports, and few of them', async () => {
  const text = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom(SERVICE, 'a', '10.2.0.2'));
  const data = fc.oneof(
    fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()) }),
    fc.record({ target: text, port: fc.nat(0xffff) }),
  );
  const section = fc.constantFrom('answer', 'authority', 'additional');
  const records = fc.array(fc.record({ section, name: text, ttlSeconds: fc.nat(), data }), {
    maxLength: 160,
  });
  const reply: fc.Arbitrary<Reply> = fc.record({
    rcode: fc.constantFrom(0, 3),
    records,
  });
  await fc.assert(
    fc.asyncProperty(reply, async (said) => {
      const { endpoints } = await lookUp(async () => said, { service: SERVICE, excluded: [] });
      for (const { address, port } of [...endpoints.udp, ...endpoints.tcp]) {
        assert.match(address, /^[\da-f:.]+$/);
        assert.ok(port >= 1 && port <= 0xffff);
      }
      assert.ok(endpoints.udp.length <= 64 && endpoints.tcp.length <= 64);
    }),
    { ...RUNS, numRuns: 300 },
  );
});

test('any ruleset is read as endpoints or not at all', () => {
  const part = fc.constantFrom(
    'udp dport 53 ',
    'numgen random mod 1 map {',
    ' 0 : ',
    '10.2.0.2',
    ' . 53',
    '}',
    ' ',
    '\n',
    ',',
    'x',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      for (const { address, port } of endpointsIn(parts.join('')).udp)
        assert.deepEqual([address, port], ['10.2.0.2', 53]);
    }),
    RUNS,
  );
});
