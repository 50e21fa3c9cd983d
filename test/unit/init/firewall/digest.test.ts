/** Digests stand in the kernel's rules, where inits of other versions read them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { it } from 'node:test';
import fc from 'fast-check';
import { digestOf } from '../../../../init/firewall/digest.ts';

it('a digest is the beginning of the SHA-256 of the text, as every version writes it', () => {
  assert.equal(digestOf(''), 'e3b0c442');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      const whole = createHash('sha256').update(text).digest('hex');
      assert.equal(digestOf(text), whole.slice(0, 8));
    }),
  );
});
