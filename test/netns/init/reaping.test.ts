import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Run as the first process of a PID namespace: two agents with two companions each are killed one after the other. */
const FIRST_PROCESS = `
  import { spawn } from 'node:child_process';
  import { once } from 'node:events';
  import { readdirSync, readFileSync } from 'node:fs';
  import { createServer } from 'node:net';
  import { setTimeout as pause } from 'node:timers/promises';
  import { initAddon } from '${fileURLToPath(new URL('../../../init/node/addon.ts', import.meta.url))}';
  import { reapOrphans } from '${fileURLToPath(new URL('../../../init/agent/reaping.ts', import.meta.url))}';

  const companions = (pattern = /^Name:/m) => readdirSync('/proc').filter((pid) => {
    try {
      const status = readFileSync('/proc/' + pid + '/status', 'utf8');
      return /^Name:\\s*nodens-(keeper|herald)$/m.test(status) && pattern.test(status);
    } catch {
      return false;
    }
  });
  const addon = '${fileURLToPath(new URL('../../../build/agent.node', import.meta.url))}';
  const socket = '/tmp/nodens-orphans-' + Date.now() + '.sock';
  const heard = createServer(() => undefined).listen(socket);
  const agent = 'const addon = require(' + JSON.stringify(addon) + '); addon.keepMemory();' +
    'addon.startHerald(' + JSON.stringify(socket) + ', "hello"); console.log("up"); setInterval(() => {}, 1000)';
  for (let i = 0; i < 2; i++) {
    const child = spawn(process.execPath, ['-e', agent], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (let tries = 0; tries < 500 && companions(/^State:\\s*Z/m).length < 4; tries++) await pause(10);
  const before = companions().length;
  reapOrphans(initAddon());
  console.log(JSON.stringify([before, companions().length]));
  heard.close();
  process.exit();
`;

it('the companions of killed agents leave nothing behind in a container whose first process init is', () => {
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
  assert.deepEqual(JSON.parse(output), [4, 0]);
});
