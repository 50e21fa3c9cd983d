/** `nodens completion`, as built, in real shells: what it prints is valid, and completes commands, flags and files. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runNodens } from '../support/operator.ts';

const scripts = new Map<string, string>();
const folder = mkdtempSync(join(tmpdir(), 'nodens-completion-'));
after(() => rmSync(folder, { recursive: true }));

before(async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, out, err } = await runNodens(['completion', shell], {});
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    scripts.set(shell, out);
  }
});

/** What bash offers for a command line, the last word of which is being typed. */
function offered(...words: readonly string[]): readonly string[] {
  const line = words.map((word) => `'${word}'`).join(' ');
  const ask = `\nCOMP_WORDS=(nodens ${line})\nCOMP_CWORD=${words.length}\n_nodens\nprintf '%s\\n' "\${COMPREPLY[@]}"\n`;
  const options = { input: `${scripts.get('bash')}${ask}`, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-s'], options);
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.split('\n').filter((word) => word !== '');
}

describe('completion', () => {
  it('is a valid script for each shell that is here', () => {
    for (const [shell, text] of scripts) {
      // fish takes no script from a socket, which is what a child of Node has as its standard input.
      const script = join(folder, shell);
      writeFileSync(script, text);
      const { error, status, stderr } = spawnSync(shell, ['-n', script], { encoding: 'utf8' });
      if (error !== undefined && shell !== 'bash') continue;
      assert.deepEqual([error, status, stderr], [undefined, 0, ''], shell);
    }
  });

  it('offers commands, actions, and flags with the dashes that were typed', () => {
    assert.deepEqual(offered('st'), ['status']);
    assert.deepEqual(offered('cache', 'fl'), ['flush']);
    assert.deepEqual(offered('cache', '-z'), ['-zone']);
    assert.deepEqual(offered('cache', 'flush', '--zo'), ['--zone']);
    assert.deepEqual(offered('top', '-interval', ''), []);
    assert.ok(offered('-loc').includes('-localip'), 'of the drop-in');
    assert.ok(offered('check', '-loc').includes('-localip'), "check takes the agent's");
  });

  it('offers files where a flag or a command takes one', () => {
    assert.deepEqual(offered('agent', '-conf', 'package.j'), ['package.json']);
    assert.deepEqual(offered('check', 'package.j'), ['package.json']);
    assert.deepEqual(offered('status', 'package.j'), []);
  });

  it('refuses another shell', async () => {
    const { code, err } = await runNodens(['completion', 'csh'], {});
    assert.equal(code, 2);
    assert.match(err, /one of: bash, zsh, fish/);
  });
});
