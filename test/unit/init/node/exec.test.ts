import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandError, runCommand } from '../../../../init/node/exec.ts';
import { realSystem } from '../../../../init/node/system.ts';

describe('programs', () => {
  it('get stdin and return stdout', async () => {
    assert.equal(await runCommand('cat', [], 'a\nb'), 'a\nb');
  });

  it('an error names command, exit code and the first line of stderr', async () => {
    const script = 'echo "# Warning: not this"; echo no such thing; echo more; exit 4';
    await assert.rejects(
      runCommand('sh', ['-c', `(${script}) >&2; exit 4`]),
      (error) =>
        error instanceof CommandError &&
        error.exitCode === 4 &&
        error.message.endsWith('exit code 4: no such thing'),
    );
  });

  it('the error of a killed program says so, and what to do', async () => {
    await assert.rejects(
      runCommand('sh', ['-c', 'kill -KILL $$']),
      (error) =>
        error instanceof CommandError &&
        error.isKilled &&
        error.exitCode === undefined &&
        /: killed \(SIGKILL\)/.test(error.message) &&
        /memory limit/.test(error.remedy ?? ''),
    );
    await assert.rejects(
      runCommand('sh', ['-c', 'kill -TERM $$']),
      (error) => error instanceof CommandError && !error.isKilled && error.remedy === undefined,
    );
  });

  it('a missing program is an error of the same class', async () => {
    await assert.rejects(
      runCommand('nodens-no-such-program', ['x']),
      (error) => error instanceof CommandError && /no-such-program x: .*ENOENT/.test(error.message),
    );
  });

  it('no shell reads the arguments', async () => {
    assert.equal(await runCommand('printf', ['%s', '$(id); `id`']), '$(id); `id`');
  });

  it('a missing file reads as undefined', async () => {
    assert.equal(await realSystem.read('/nowhere/at/all'), undefined);
  });
});
