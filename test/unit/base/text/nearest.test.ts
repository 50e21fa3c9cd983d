import assert from 'node:assert/strict';
import { it } from 'node:test';
import { nearest, suggestion } from '../../../../agent/base/text/nearest.ts';

const known = ['cache', 'forward', 'health', 'log', 'loop'];

it('finds the word that was meant', () => {
  const table: [word: string, meant: string | undefined][] = [
    ['foward', 'forward'],
    ['frowadr', 'forward'],
    ['CACHE', 'cache'],
    ['lopo', 'loop'],
    ['heatlh', 'health'],
    ['kubernetes', undefined],
    ['xyz', undefined],
    ['', undefined],
    ['cache'.repeat(100), undefined],
  ];
  for (const [word, meant] of table) assert.equal(nearest(word, known), meant, word);
});

it('prefers the closer of two', () => {
  assert.equal(nearest('logs', ['loop', 'log']), 'log');
  assert.equal(
    nearest('lgo', ['go', 'log']),
    'go',
    'a deletion and a swap cost the same: first wins',
  );
});

it('words the suggestion', () => {
  assert.equal(suggestion('lopp', known), 'did you mean "loop"?');
  assert.equal(suggestion('zzz', ['a', 'b']), 'known: a, b');
});
