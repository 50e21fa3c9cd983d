/** A rewritten message has the same meaning, and a renamed one differs in its names only. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import fc from 'fast-check';
import { nameFromText, nameToText, sameName } from '../../../agent/dns/name.ts';
import { rebuild, rebuildAll } from '../../../agent/dns/rebuild.ts';
import { BOUNDED, damaged, response } from '../../support/dns/messages.ts';

const meaning = (wire: Buffer) => {
  const { questions, answers, authorities, additionals, flags } = decode(wire);
  return { questions, answers, authorities, additionals, flags };
};

describe('rebuild', () => {
  it('without changes keeps the meaning, and is no longer than dns-packet writes', () => {
    fc.assert(
      fc.property(response, ({ wire }) => {
        const again = rebuild(wire, {});
        assert.ok(again !== undefined && again.length <= wire.length);
        assert.deepEqual(meaning(again), meaning(wire));
        assert.deepEqual(rebuild(again, {}), again);
      }),
      BOUNDED,
    );
  });

  it('renames every owner and target, of any length', () => {
    const suffix = nameFromText('a.rather.long.suffix.example');
    const longer = (name: Uint8Array) =>
      name.length + suffix.length > 255
        ? name
        : Uint8Array.from([...name.subarray(0, -1), ...suffix]);
    fc.assert(
      fc.property(response, ({ wire }) => {
        const renamed = rebuild(wire, { owner: longer, target: longer });
        assert.ok(renamed);
        const before = decode(wire).answers ?? [];
        for (const [at, record] of (decode(renamed).answers ?? []).entries()) {
          const old = before[at];
          assert.ok(old !== undefined);
          assert.equal(record.type, old.type);
          assert.equal(record.name, nameToText(longer(nameFromText(old.name))).slice(0, -1));
          if (record.type === 'CNAME' && old.type === 'CNAME')
            assert.ok(sameName(nameFromText(record.data), longer(nameFromText(old.data))));
        }
      }),
      BOUNDED,
    );
  });

  it('joins the answers of several messages', () => {
    fc.assert(
      fc.property(response, response, (a, b) => {
        const both = rebuildAll([a.wire, b.wire], {});
        assert.ok(both);
        const { answers, authorities } = decode(both);
        const expected = [...(decode(a.wire).answers ?? []), ...(decode(b.wire).answers ?? [])];
        assert.deepEqual(answers, expected);
        assert.deepEqual(authorities, decode(a.wire).authorities);
      }),
      BOUNDED,
    );
  });

  it('handles damaged messages', () => {
    const broken = response.chain(({ wire }) => damaged(wire)).filter(({ length }) => length >= 12);
    fc.assert(
      fc.property(broken, (wire) => {
        const before = Buffer.from(wire);
        rebuild(wire, {});
        assert.deepEqual(wire, before);
      }),
      BOUNDED,
    );
  });
});
