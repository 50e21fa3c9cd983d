import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

it('accounts for the memory that entries take, within a fifth', () => {
  const child = fileURLToPath(new URL('accounting-child.ts', import.meta.url));
  const flags = ['--expose-gc', '--max-semi-space-size=1'];
  const output = execFileSync(process.execPath, [...flags, child], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  const { residentBytes, answers, answerBytes } = JSON.parse(output) as Record<string, number>;
  assert.equal(answers, 50_000);
  const ratio = (answerBytes as number) / (residentBytes as number);
  assert.ok(ratio > 0.8 && ratio < 1.2, `accounted for ${ratio.toFixed(2)} of the memory in use`);
});
