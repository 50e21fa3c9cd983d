import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandError, runCommand } from '../../../../init/node/exec.ts';
import { realSystem } from '../../../../init/node/system.ts';

describe('programs', () => {
  it('hand over stdin and give back stdout', async () => {
    assert.equal(await runCommand('cat', [], 'a\nb'), 'a\nb');
  });

  it('a failure names command, exit code and the first line of stderr', async () => {
    const script = 'echo "# Warning: not this"; echo no such thing; echo more; exit 4';
    await assert.rejects(
      runCommand('sh', ['-c', `(${script}) >&2; exit 4`]),
      (error) =>
        error instanceof CommandError &&
        error.exitCode === 4 &&
        error.message.endsWith('exit code 4: no such thing'),
    );
  });

  it('a program that was killed is named as that, with what to do', async () => {
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

  it('a program that is not there is an error of the same kind', async () => {
    await assert.rejects(
      runCommand('nodens-no-such-program', ['x']),
      (error) => error instanceof CommandError && /no-such-program x: .*ENOENT/.test(error.message),
    );
  });

  it('arguments are never taken for shell text', async () => {
    assert.equal(await runCommand('printf', ['%s', '$(id); `id`']), '$(id); `id`');
  });

  it('a file that is not there reads as undefined', async () => {
    assert.equal(await realSystem.read('/nowhere/at/all'), undefined);
  });
});
