/** Arbitrary names and messages for property tests. */
import { encode, type Answer as PacketRecord } from 'dns-packet';
import fc from 'fast-check';

/** A wire name of any bytes, at most 255 long. */
export const wireName: fc.Arbitrary<Uint8Array> = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 63 }), { maxLength: 12 })
  .map((labels) => Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0]))
  .filter((name) => name.length <= 255);

/** A name that text-based codecs can represent. */
const hostName = fc
  .array(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { minLength: 1, maxLength: 5 })
  .map((labels) => labels.join('.'));

/** A small set of names, so that records share them. */
const owner = fc.constantFrom('www.example.org', 'a.example.org');

const ttl = fc.integer({ min: 0, max: 0xffffffff });

export const packetRecord: fc.Arbitrary<PacketRecord> = fc.oneof(
  fc.record({ type: fc.constant('A'), name: owner, ttl, data: fc.ipV4() }),
  fc.record({ type: fc.constant('AAAA'), name: owner, ttl, data: fc.constant('fd00::1') }),
  fc.record({ type: fc.constant('CNAME'), name: hostName, ttl, data: hostName }),
  fc.record({ type: fc.constant('TXT'), name: hostName, ttl, data: fc.string({ maxLength: 60 }) }),
  fc.record({
    type: fc.constant('SRV'),
    name: hostName,
    ttl,
    data: fc.record({ port: fc.nat(65_535), target: hostName }),
  }),
) as fc.Arbitrary<PacketRecord>;

const records = fc.array(packetRecord, { maxLength: 4 });

/** A well-formed response, as dns-packet writes it. */
export const response = fc
  .record({ name: hostName, answers: records, authorities: records, additionals: records })
  .map(({ name, ...sections }) => ({
    sections,
    wire: encode({ type: 'response', questions: [{ type: 'A', name }], ...sections }),
  }));

/** `wire` with some bytes replaced, or cut. */
export function damaged(wire: Buffer): fc.Arbitrary<Buffer> {
  const change = fc.tuple(fc.nat(wire.length - 1), fc.integer({ min: 0, max: 255 }));
  return fc
    .tuple(fc.array(change, { maxLength: 6 }), fc.nat(wire.length))
    .map(([changes, length]) => {
      const copy = Buffer.from(wire.subarray(0, length));
      for (const [at, byte] of changes) if (at < length) copy[at] = byte;
      return copy;
    });
}

/** Bounds of every property run: small enough for each run of the whole suite. */
export const BOUNDED = { numRuns: 300, interruptAfterTimeLimit: 5_000 } as const;
