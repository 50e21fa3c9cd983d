/** Man pages in docs/man are those of the tables, and roff that man can set without a warning. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { COMMANDS } from '../../../agent/base/commands/table.ts';
import { manPages } from '../../support/docs/man.ts';

const FOLDER = 'docs/man';

it('the man pages are current: npm run docs', () => {
  assert.deepEqual(readdirSync(FOLDER).sort(), [...manPages().keys()].sort());
  for (const [name, text] of manPages())
    assert.equal(readFileSync(`${FOLDER}/${name}`, 'utf8'), text, name);
});

it('each command has a page, and lines that troff does not take as requests', () => {
  for (const { command } of COMMANDS) assert.ok(manPages().has(`nodens-${command}.1`), command);
  const known = /^\.(?:\\"|TH|SH|TP|PP|B|BR|RI)(?: |$|\\| W)/;
  for (const [name, text] of manPages())
    for (const line of text.split('\n')) if (/^[.']/.test(line)) assert.match(line, known, name);
});

it('groff sets them without a warning, where it is installed', () => {
  for (const [name, input] of manPages()) {
    const { error, stderr } = spawnSync('groff', ['-man', '-ww', '-Tutf8', '-z'], {
      input,
      encoding: 'utf8',
    });
    if (error === undefined) assert.equal(stderr, '', name);
  }
});
