/** SECURITY.md names a test for each promise. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const text = readFileSync('SECURITY.md', 'utf8');
const promises = text
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| promise'));

describe('SECURITY.md', () => {
  it('names a test for each promise', () => {
    assert.ok(promises.length > 10);
    for (const line of promises) assert.match(line, /`test\/[^`]+\.test\.ts`/);
  });

  it('names tests that exist', () => {
    const paths = [...text.matchAll(/`(test\/[^`]+)`/g)].map(([, path = '']) => path);
    assert.deepEqual(
      paths.filter((path) => !existsSync(path)),
      [],
    );
  });
});
