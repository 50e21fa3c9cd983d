import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BlockEntries } from '../../../../agent/cache/store/block-entries.ts';
import { Entry } from '../../../../agent/cache/store/entry.ts';
import { HotIndex } from '../../../../agent/cache/store/hot-index.ts';
import { buildResponse } from '../../../../agent/dns/build.ts';
import { FLAG, putHeader, putU16 } from '../../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { readQueryHead } from '../../../../agent/dns/query-head.ts';
import { Answer } from '../../../../agent/query/answer.ts';
import { Query } from '../../../../agent/query/query.ts';

const BLOCK = 3;
/** More than the table has room for. */
const MANY = 20_000;

function received(text: string, type: number = TYPE.A, flags: number = FLAG.RD): Query {
  const name = nameFromText(text);
  const wire = Buffer.alloc(12 + name.length + 4);
  putHeader(wire, 7, flags, [1, 0, 0, 0]);
  wire.set(name, 12);
  putU16(wire, 12 + name.length, type);
  putU16(wire, 14 + name.length, CLASS.IN);
  const query = new Query();
  readQueryHead(wire, wire.length, query.head);
  return query;
}

/** What the store would hold for the question. */
function entryFor(text: string, type: number = TYPE.A): Entry {
  const question = { name: nameFromText(text), type, class: CLASS.IN };
  const wire = buildResponse(question, { rcode: RCODE.NOERROR, flags: FLAG.RA });
  const answer = new Answer({ wire, ttlOffsets: [], rcode: 0, plugin: '' });
  return new Entry({
    ...{ key: received(text, type).keyIn(BLOCK), kind: 'positive', answer, configVersion: 0 },
    blockEntries: new BlockEntries({ value: 0 }),
    ...{ expiresMs: 1, dropAfterMs: 1, refreshMs: 1, hits: 0, lastHitMs: 0 },
  });
}

describe('front table', () => {
  it('finds an entry by its question, in any letter case', () => {
    const front = new HotIndex();
    const entry = entryFor('www.example.org.');
    assert.equal(front.find(received('www.example.org.'), BLOCK), undefined);
    front.put(entry, received('www.example.org.'), BLOCK);
    assert.equal(front.find(received('www.example.org.'), BLOCK), entry);
    assert.equal(front.find(received('WWW.example.ORG.'), BLOCK), entry);
  });

  it('does not return it for another question', () => {
    const front = new HotIndex();
    front.put(entryFor('www.example.org.'), received('www.example.org.'), BLOCK);
    const others: [Query, number][] = [
      [received('www.example.org.', TYPE.AAAA), BLOCK],
      [received('www.example.org.', TYPE.A, FLAG.RD | FLAG.CD), BLOCK],
      [received('wwx.example.org.'), BLOCK],
      [received('www.example.org.'), BLOCK + 1],
    ];
    for (const [query, block] of others) assert.equal(front.find(query, block), undefined);
  });

  it('compares bytes where hashes are the same', () => {
    const front = new HotIndex();
    const asked = received('www.example.org.');
    const other = received('wwx.example.org.');
    other.head.nameHash = asked.head.nameHash;
    front.put(entryFor('www.example.org.'), asked, BLOCK);
    assert.equal(front.find(other, BLOCK), undefined);
  });

  it('does not return dropped entries, whatever their hash', () => {
    const front = new HotIndex();
    const entry = entryFor('www.example.org.');
    const ours = received('www.example.org.');
    ours.head.nameHash = 0;
    front.put(entry, ours, BLOCK);
    front.put(entry, received('www.example.org.'), BLOCK);
    front.drop(entry);
    assert.equal(front.find(ours, BLOCK), undefined);
    assert.equal(front.find(received('www.example.org.'), BLOCK), undefined);
  });

  it('returns the right entry or none when it is overfull, and forgets all of them', () => {
    const front = new HotIndex();
    const all = Array.from({ length: MANY }, (_, i) => `n${i}.example.org.`);
    const entries = all.map((name) => entryFor(name));
    all.forEach((name, i) => {
      front.put(entries[i] as Entry, received(name), BLOCK);
    });
    const found = all.map((name) => front.find(received(name), BLOCK));
    found.forEach((entry, i) => {
      assert.ok(entry === undefined || entry === entries[i]);
    });
    assert.ok(found.filter((entry) => entry !== undefined).length > 4_000);
    for (const entry of entries) front.drop(entry);
    for (const name of all) assert.equal(front.find(received(name), BLOCK), undefined);
  });
});
