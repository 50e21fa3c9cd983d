import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CommandError, type Run, runCommand } from '../../../../init/node/exec.ts';
import { runResident } from '../../../../init/node/resident-exec.ts';
import { realSystem } from '../../../../init/node/system.ts';
import { eventually } from '../../../support/netns/netns.ts';

/** Gone, or a zombie where nothing reaps orphans. */
function hasEnded(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return true;
  }
}

const RUNNERS: readonly (readonly [string, Run, string])[] = [
  ['an init that ends', runCommand, 'exec.ts'],
  ['an init that stays', runResident, 'resident-exec.ts'],
];

for (const [whose, run, module] of RUNNERS)
  describe(`programs of ${whose}`, () => {
    it('get stdin and return stdout', async () => {
      assert.equal(await run('cat', [], 'a\nb'), 'a\nb');
    });

    it('an error names command, exit code and the first line of stderr', async () => {
      const script = 'echo "# Warning: not this"; echo no such thing; echo more; exit 4';
      await assert.rejects(
        run('sh', ['-c', `(${script}) >&2; exit 4`]),
        (error) =>
          error instanceof CommandError &&
          error.exitCode === 4 &&
          error.message.endsWith('exit code 4: no such thing'),
      );
    });

    it('the error of a killed program says so, and what to do', async () => {
      await assert.rejects(
        run('sh', ['-c', 'kill -KILL $$']),
        (error) =>
          error instanceof CommandError &&
          error.isKilled &&
          error.exitCode === undefined &&
          /: killed \(SIGKILL\)/.test(error.message) &&
          /memory limit/.test(error.remedy ?? ''),
      );
      await assert.rejects(
        run('sh', ['-c', 'kill -TERM $$']),
        (error) => error instanceof CommandError && !error.isKilled && error.remedy === undefined,
      );
    });

    it('a missing program is an error of the same class', async () => {
      await assert.rejects(
        run('nodens-no-such-program', ['x']),
        (error) =>
          error instanceof CommandError && /no-such-program x: .*ENOENT/.test(error.message),
      );
    });

    it('a program that does not read its stdin is no error', async () => {
      assert.equal(await run('true', [], 'x'.repeat(2 ** 20)), '');
    });

    it('an argument that no program can get is an error of the same class', async () => {
      await assert.rejects(run('printf', ['a\0b']), CommandError);
    });

    it('a program ends with init', async () => {
      const exec = fileURLToPath(new URL(`../../../../init/node/${module}`, import.meta.url));
      const folder = mkdtempSync(join(tmpdir(), 'nodens-exec-'));
      const [first, started] = [join(folder, 'first'), join(folder, 'started')];
      const script = `const { ${run.name}: run } = await import(${JSON.stringify(exec)});
      void run('sh', ['-c', 'echo $$ > "$0" && mv "$0" "$1" && exec sleep 60', '${first}', '${started}']);
      const { existsSync } = await import('node:fs');
      setInterval(() => existsSync('${started}') && process.exit(0), 10);`;
      execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 30_000 });
      const pid = readFileSync(started, 'utf8').trim();
      await eventually('the program to end', () => hasEnded(pid));
      rmSync(folder, { recursive: true });
    });

    it('no shell reads the arguments', async () => {
      assert.equal(await run('printf', ['%s', '$(id); `id`']), '$(id); `id`');
    });
  });

it('a missing file reads as undefined', async () => {
  assert.equal(await realSystem.read('/nowhere/at/all'), undefined);
});
