import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { loadAddon } from '../../../agent/server/addon.ts';
import { startKeeper } from '../../../agent/server/keeper.ts';
import { eventually } from '../../support/netns.ts';

const ADDON = new URL('../../../agent/server/addon.ts', import.meta.url).href;
/** Opens a socket before and after, so that both would be seen in the companion. */
const PROGRAM = `
  import { createSocket } from 'node:dgram';
  import { loadAddon } from ${JSON.stringify(ADDON)};
  const before = createSocket('udp4').bind(0, '127.0.0.1');
  await new Promise((resolve) => before.once('listening', resolve));
  const addon = loadAddon();
  const [first, again] = [addon.keepMemory(), addon.keepMemory()];
  createSocket('udp4').bind(0, '127.0.0.1', () => console.log(JSON.stringify([first, again])));
  process.on('SIGTERM', () => process.exit(3));
`;

/** A process with a companion: its own id and the companion's, as it says them. */
async function startPair() {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const [keeper = 0, again = 0] = JSON.parse(line) as number[];
  return { child, keeper, again };
}

const gone = (pid: number): boolean => {
  if (!existsSync(`/proc/${pid}`)) return true;
  return /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
};

if (!(loadAddon() instanceof Error))
  describe('the companion that keeps memory', () => {
    it('is one process, has no descriptor but a pipe, and shares the memory', async () => {
      const { child, keeper, again } = await startPair();
      assert.equal(again, keeper);
      assert.equal(readFileSync(`/proc/${keeper}/comm`, 'utf8'), 'nodens-keeper\n');
      const held = readdirSync(`/proc/${keeper}/fd`).map((fd) =>
        readlinkSync(`/proc/${keeper}/fd/${fd}`).replace(/\[\d+\]$/, ''),
      );
      assert.deepEqual(held, ['pipe:']);
      const mapped = (pid: number): string => readFileSync(`/proc/${pid}/maps`, 'utf8');
      assert.equal(mapped(keeper).split('\n')[0], mapped(child.pid as number).split('\n')[0]);
      child.kill('SIGKILL');
      await once(child, 'exit');
    });

    for (const signal of ['SIGKILL', 'SIGTERM'] as const)
      it(`ends with a process that ends by ${signal}, and hears no signal itself`, async () => {
        const { child, keeper } = await startPair();
        process.kill(keeper, 'SIGTERM');
        process.kill(keeper, 'SIGSTOP');
        process.kill(keeper, 'SIGCONT');
        assert.equal(gone(keeper), false);
        child.kill(signal);
        const [code] = (await once(child, 'exit')) as [number | null];
        assert.equal(code, signal === 'SIGTERM' ? 3 : null);
        await eventually('the companion is gone', () => gone(keeper), 2_000);
      });

    it('takes nothing with it when it is killed', async () => {
      const { child, keeper } = await startPair();
      process.kill(keeper, 'SIGKILL');
      await eventually('the companion is gone', () => gone(keeper), 2_000);
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number | null];
      assert.equal(code, 3);
    });
  });

it('is done without where the system refuses it', () => {
  const said: unknown[] = [];
  const log = { info: (...args: unknown[]) => said.push(args) } as unknown as Parameters<
    typeof startKeeper
  >[1];
  const refuse = (): never => {
    throw Object.assign(new Error('clone EPERM'), { code: 'EPERM' });
  };
  startKeeper({ keepMemory: refuse }, log);
  assert.match(JSON.stringify(said), /EPERM.*no companion/);
});
