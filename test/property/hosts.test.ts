/** The table of a hosts file has the entries of a simple reader, however the file is split into chunks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addressBytes, familyOf, formatAddress } from '../../agent/base/address.ts';
import { MemoryLedger } from '../../agent/base/clients/memory-ledger.ts';
import { TYPE } from '../../agent/dns/iana.ts';
import { isSubdomain, lowerName, nameFromText, nameToText } from '../../agent/dns/name.ts';
import { NoRoomError, Room } from '../../agent/plugins/hosts/arena.ts';
import { TableBuilder, type TableOptions } from '../../agent/plugins/hosts/builder.ts';
import type { HostsTable } from '../../agent/plugins/hosts/table.ts';

const bounds: fc.Parameters<unknown> = { numRuns: 1_500, interruptAfterTimeLimit: 20_000 };
const ALL: TableOptions = { zones: [nameFromText('.')], reverse: true };

function roomOf(fileBudgetBytes = Number.MAX_SAFE_INTEGER): Room {
  return new Room(new MemoryLedger({ clientBudgetBytes: 0, fileBudgetBytes }));
}

interface Reading {
  readonly byName: ReadonlyMap<string, readonly string[]>;
  readonly byAddress: ReadonlyMap<string, readonly string[]>;
  readonly skipped: number;
}

/** Line by line and word by word, in maps of strings. */
function plainReading(bytes: Uint8Array, { zones, reverse }: TableOptions): Reading {
  const byName = new Map<string, Set<string>>();
  const byAddress = new Map<string, Set<string>>();
  let skipped = 0;
  const put = (map: Map<string, Set<string>>, key: string, value: string): void =>
    void map.set(key, (map.get(key) ?? new Set()).add(value));
  for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
    const [address, ...names] = line.replace(/#.*/s, '').split(/\s+/).filter(Boolean);
    if (address === undefined) continue;
    if (familyOf(address) === undefined || address.includes('\ufffd')) {
      skipped++;
      continue;
    }
    const shown = formatAddress(addressBytes(address)).replace(/^::ffff:(?=.*\.)/, '');
    for (const text of names) {
      const name = nameOf(text);
      if (name === undefined) skipped++;
      else if (zones.some((zone) => isSubdomain(name, zone))) {
        put(byName, nameToText(name), shown);
        if (reverse && !(name[0] === 1 && name[1] === 0x2a))
          put(byAddress, shown, nameToText(name));
      }
    }
  }
  return { byName: listed(byName), byAddress: listed(byAddress), skipped };
}

function nameOf(text: string): Uint8Array | undefined {
  try {
    return text.includes('\ufffd') ? undefined : lowerName(nameFromText(text));
  } catch {
    return undefined;
  }
}

function listed(map: Map<string, Set<string>>): Map<string, string[]> {
  return new Map([...map].map(([key, values]) => [key, [...values]]));
}

/** The table of `bytes`, read in chunks of `sizes`, which repeat. */
function tableOf(
  bytes: Uint8Array,
  sizes: readonly number[],
  options = ALL,
  room = roomOf(),
): HostsTable {
  const builder = new TableBuilder(options, room, bytes.length);
  try {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const end = at + (sizes[i % sizes.length] as number);
      for (const _ of builder.add(bytes.subarray(at, end))) void _;
      at = end;
    }
    for (const _ of builder.end('')) void _;
  } catch (error) {
    for (const _ of builder.table.free()) void _;
    throw error;
  }
  return builder.table;
}

function reversed(address: string): Uint8Array {
  const bytes = addressBytes(address);
  if (bytes.length === 4) return nameFromText(`${[...bytes].reverse().join('.')}.in-addr.arpa`);
  const nibbles = [...Buffer.from(bytes).toString('hex')].reverse().join('.');
  return nameFromText(`${nibbles}.ip6.arpa`);
}

function assertSame(table: HostsTable, { byName, byAddress, skipped }: Reading): void {
  for (const [name, addresses] of byName) {
    const found = table.findName(nameFromText(name));
    assert.notEqual(found, 0, name);
    const reported = [TYPE.A, TYPE.AAAA].flatMap((type) => table.addressesOf(found, type));
    const v6 = (address: string): boolean => address.includes(':');
    const expected = [...addresses.filter((a) => !v6(a)), ...addresses.filter(v6)];
    assert.deepEqual(reported.map(formatAddress), expected, name);
    assert.deepEqual(table.addressesOf(found, TYPE.MX), []);
  }
  for (const [address, names] of byAddress) {
    const found = table.findReverse(reversed(address));
    assert.notEqual(found, 0, address);
    assert.deepEqual(table.namesOf(found).map(nameToText), names, address);
  }
  const count = [...byName.values(), ...byAddress.values()].flat().length;
  assert.equal(table.entries, count);
  assert.equal(table.leftOut.skipped, skipped);
}

const label = fc.oneof(
  fc.constantFrom('a', 'B', 'c', '*', 'x.y', 'w-w'),
  fc.stringMatching(/^[a-zA-Z0-9_-]{1,64}$/),
  fc.constantFrom('', 'ä', '\\.', '\\046', '\\300', '\\', 'é\u00a0b', '\u0000'),
);
const name = fc
  .array(label, { minLength: 1, maxLength: 4 })
  .map((labels) => labels.join('.'))
  .chain((text) => fc.constantFrom(text, text, `${text}.`, `*.${text}`));
const address = fc.oneof(
  fc.constantFrom('10.0.0.1', '10.0.0.2', '::1', '::ffff:10.0.0.1', 'fe80::1%eth0', '0.0.0.0'),
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom('10.0.0.300', '10.0.0.01', '1.2.3', 'nonsense', '1.2.3.4.', '.1.2.3'),
);
const space = fc.constantFrom(' ', '\t', '  ', ' \r', '\v', '\f', '\u00a0', '\u2003');
const comment = fc.constantFrom('', '', '', '#', ' # note', '#\u00e4 10.0.0.1 a');
const line = fc
  .tuple(space, address, fc.array(fc.tuple(space, name), { maxLength: 5 }), comment)
  .map(([lead, first, names, end]) => `${lead}${first}${names.flat().join('')}${end}`);
const text = fc
  .array(fc.oneof(line, line, line, fc.constant('')), { maxLength: 40 })
  .chain((lines) =>
    fc.constantFrom(lines.join('\n'), `${lines.join('\n')}\n`, `\ufeff${lines.join('\r\n')}`),
  )
  .map((whole) => Buffer.from(whole));
const chunks = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 });

describe('a table of hosts', () => {
  it('has the entries of the file', () => {
    fc.assert(
      fc.property(text, chunks, (bytes, sizes) => {
        assertSame(tableOf(bytes, sizes), plainReading(bytes, ALL));
      }),
      bounds,
    );
  });

  it('has the entries of its zones, without PTR records where they are off', () => {
    const options = { zones: ['a', 'x.y'].map(nameFromText), reverse: false };
    fc.assert(
      fc.property(text, chunks, (bytes, sizes) => {
        const table = tableOf(bytes, sizes, options);
        assertSame(table, plainReading(bytes, options));
        assert.equal(table.findReverse(reversed('10.0.0.1')), 0);
      }),
      { ...bounds, numRuns: 300 },
    );
  });

  it('accepts any bytes', () => {
    const damaged = fc
      .tuple(text, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 20 }))
      .map(([bytes, changes]) => {
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(
        fc.oneof(damaged, fc.uint8Array({ maxLength: 3_000 })),
        chunks,
        (bytes, sizes) => {
          assertSame(tableOf(bytes, sizes), plainReading(bytes, ALL));
        },
      ),
      bounds,
    );
  });

  it('has the entries for many names, addresses and segments, with repetitions', () => {
    const words = fc.record({
      names: fc.integer({ min: 1, max: 30_000 }),
      addresses: fc.integer({ min: 1, max: 30_000 }),
      pad: fc.nat(30),
    });
    fc.assert(
      fc.property(words, ({ names, addresses, pad }) => {
        const lines = Array.from({ length: 12_000 }, (_, i) => {
          const n = (i * 7_919) % names;
          const a = (i * 104_729) % addresses;
          return `10.9.${a >> 8}.${a & 255} n${n}.${'p'.repeat(pad)}example`;
        });
        const bytes = Buffer.from(lines.join('\n'));
        const plain = plainReading(bytes, ALL);
        // Records beyond one message are omitted: another test covers that.
        fc.pre(
          [...plain.byName.values(), ...plain.byAddress.values()].every(
            (all) => all.length < 1_000,
          ),
        );
        assertSame(tableOf(bytes, [65_536]), plain);
      }),
      { ...bounds, numRuns: 5 },
    );
  });

  it('returns its whole memory to the budget, also where that was too small', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 6_000 }), (bytes, budget) => {
        const ledger = new MemoryLedger({ clientBudgetBytes: 0, fileBudgetBytes: budget });
        try {
          for (const _ of tableOf(bytes, [100], ALL, new Room(ledger)).free()) void _;
        } catch (error) {
          assert.ok(error instanceof NoRoomError, String(error));
          assert.equal(error.availableBytes, budget);
          assert.ok(error.neededBytes > budget);
        }
        assert.equal(ledger.fileBytes, 0);
      }),
      bounds,
    );
  });
});
