import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Run as the first process of a PID namespace: two agents with companions are killed one after the other. */
const FIRST_PROCESS = `
  import { spawn } from 'node:child_process';
  import { once } from 'node:events';
  import { readdirSync, readFileSync } from 'node:fs';
  import { setTimeout as pause } from 'node:timers/promises';
  import { initAddon } from '${fileURLToPath(new URL('../../init/addon.ts', import.meta.url))}';
  import { reapOrphans } from '${fileURLToPath(new URL('../../init/orphans.ts', import.meta.url))}';

  const companions = () => readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync('/proc/' + pid + '/comm', 'utf8') === 'nodens-keeper\\n';
    } catch {
      return false;
    }
  });
  const addon = '${fileURLToPath(new URL('../../build/nodens.node', import.meta.url))}';
  const agent = 'require(' + JSON.stringify(addon) + ').keepMemory(); console.log("up"); setInterval(() => {}, 1000)';
  for (let i = 0; i < 2; i++) {
    const child = spawn(process.execPath, ['-e', agent], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await pause(100);
  const before = companions().length;
  reapOrphans(initAddon());
  console.log(JSON.stringify([before, companions().length]));
`;

it('the companions of killed agents leave nothing behind in a container whose first process init is', () => {
  const argv = ['--pid', '--fork', '--mount-proc', process.execPath, '--input-type=module'];
  const output = execFileSync('unshare', [...argv, '-e', FIRST_PROCESS], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.deepEqual(JSON.parse(output), [2, 0]);
});
