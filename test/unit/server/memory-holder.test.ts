import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { loadAddon } from '../../../agent/server/addon.ts';
import { startMemoryHolder } from '../../../agent/server/memory-holder.ts';
import { eventually } from '../../support/netns/netns.ts';
import { RecordingLogger } from '../../support/services.ts';

const ADDON = new URL('../../../agent/server/addon.ts', import.meta.url).href;
/** Opens a socket before and after, so that the memory holder could inherit either. A line starts it again. */
const PROGRAM = `
  import { createSocket } from 'node:dgram';
  import { createInterface } from 'node:readline';
  import { loadAddon } from ${JSON.stringify(ADDON)};
  const before = createSocket('udp4').bind(0, '127.0.0.1');
  await new Promise((resolve) => before.once('listening', resolve));
  const addon = loadAddon();
  const [first, again] = [addon.holdMemory(), addon.holdMemory()];
  createSocket('udp4').bind(0, '127.0.0.1', () => console.log(JSON.stringify([first, again])));
  createInterface({ input: process.stdin }).on('line', () => console.log(addon.holdMemory()));
  process.on('SIGTERM', () => process.exit(3));
`;

/** A process with a memory holder; it prints the id of the holder. */
async function startPair() {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const [holder = 0, again = 0] = JSON.parse((await lines.next()).value ?? '[]') as number[];
  return { child, holder, again, lines };
}

const gone = (pid: number): boolean => {
  try {
    return /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
};

if (!(loadAddon() instanceof Error))
  describe('the memory holder', () => {
    it('is one process, has no descriptor but a pipe, and shares the memory', async () => {
      const { child, holder, again } = await startPair();
      assert.equal(again, holder);
      assert.equal(readFileSync(`/proc/${holder}/comm`, 'utf8'), 'nodens-mem-hold\n');
      const held = readdirSync(`/proc/${holder}/fd`).map((fd) =>
        readlinkSync(`/proc/${holder}/fd/${fd}`).replace(/\[\d+\]$/, ''),
      );
      assert.deepEqual(held, ['pipe:']);
      const mapped = (pid: number): string => readFileSync(`/proc/${pid}/maps`, 'utf8');
      assert.equal(mapped(holder).split('\n')[0], mapped(child.pid as number).split('\n')[0]);
      child.kill('SIGKILL');
      await once(child, 'exit');
    });

    for (const signal of ['SIGKILL', 'SIGTERM'] as const)
      it(`ends with a process that ends by ${signal}, and receives no signal itself`, async () => {
        const { child, holder } = await startPair();
        process.kill(holder, 'SIGTERM');
        process.kill(holder, 'SIGSTOP');
        process.kill(holder, 'SIGCONT');
        assert.equal(gone(holder), false);
        child.kill(signal);
        const [code] = (await once(child, 'exit')) as [number | null];
        assert.equal(code, signal === 'SIGTERM' ? 3 : null);
        await eventually('the holder is gone', () => gone(holder), 2_000);
      });

    it('starts again after it was killed, without a descriptor leak', async () => {
      const { child, holder, lines } = await startPair();
      const open = (): number => readdirSync(`/proc/${child.pid}/fd`).length;
      const before = open();
      let last = holder;
      for (let i = 0; i < 5; i++) {
        process.kill(last, 'SIGKILL');
        await eventually('the holder is gone', () => gone(last), 2_000);
        child.stdin.write('again\n');
        const next = Number((await lines.next()).value);
        assert.notEqual(next, last);
        last = next;
      }
      assert.equal(open(), before);
      child.kill('SIGKILL');
      await once(child, 'exit');
    });

    it('does not affect the agent when it is killed', async () => {
      const { child, holder } = await startPair();
      process.kill(holder, 'SIGKILL');
      await eventually('the holder is gone', () => gone(holder), 2_000);
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number | null];
      assert.equal(code, 3);
    });
  });

it('the agent starts without it where the kernel refuses it', () => {
  const log = new RecordingLogger();
  const refuse = (): never => {
    throw Object.assign(new Error('clone EPERM'), { code: 'EPERM' });
  };
  startMemoryHolder({ holdMemory: refuse }, log);
  assert.match(JSON.stringify(log.records), /EPERM.*cannot start nodens-mem-hold/);
});
