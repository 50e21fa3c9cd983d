import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Run as the first process of a PID namespace: two agents are killed one after the other. */
const FIRST_PROCESS = `
  import { spawn } from 'node:child_process';
  import { once } from 'node:events';
  import { readdirSync, readFileSync } from 'node:fs';
  import { setTimeout as pause } from 'node:timers/promises';
  import { initAddon } from '${fileURLToPath(new URL('../../../init/node/addon.ts', import.meta.url))}';
  import { reapChildren } from '${fileURLToPath(new URL('../../../init/agent/reaping.ts', import.meta.url))}';

  const holders = (pattern = /^Name:/m) => readdirSync('/proc').filter((pid) => {
    try {
      const status = readFileSync('/proc/' + pid + '/status', 'utf8');
      return /^Name:\\s*nodens-mem-hold$/m.test(status) && pattern.test(status);
    } catch {
      return false;
    }
  });
  const addon = '${fileURLToPath(new URL('../../../build/agent.node', import.meta.url))}';
  const agent = 'const addon = require(' + JSON.stringify(addon) + '); addon.holdMemory();' +
    'console.log("up"); setInterval(() => {}, 1000)';
  for (let i = 0; i < 2; i++) {
    const child = spawn(process.execPath, ['-e', agent], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (let tries = 0; tries < 500 && holders(/^State:\\s*Z/m).length < 2; tries++) await pause(10);
  const before = holders().length;
  reapChildren(initAddon());
  console.log(JSON.stringify([before, holders().length]));
  process.exit();
`;

it('killed agents leave no zombie in a container whose first process is init', () => {
  const argv = [
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    process.execPath,
    '--input-type=module',
  ];
  const output = execFileSync('unshare', [...argv, '-e', FIRST_PROCESS], {
    encoding: 'utf8',
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  assert.deepEqual(JSON.parse(output), [2, 0]);
});
