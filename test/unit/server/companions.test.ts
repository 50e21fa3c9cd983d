import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { loadAddon } from '../../../agent/server/addon.ts';
import { heraldsOf, startKeeper } from '../../../agent/server/companions.ts';
import { eventually } from '../../support/netns/netns.ts';
import { RecordingLogger } from '../../support/services.ts';

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
  try {
    return /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
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

/** A herald that has greeted, the process whose it is, and init's end of the connection. */
async function startHeralded() {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-herald-'));
  const path = join(folder, 'control.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const child = spawn(process.execPath, ['--input-type=module', '-e', HERALDED, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const [connection] = (await once(server, 'connection')) as [Socket];
  const [greeting] = (await once(connection.setEncoding('utf8'), 'data')) as [string];
  const herald = Number((await lines.next()).value);
  const close = (): void => {
    child.kill('SIGKILL');
    connection.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  };
  /** Asks for a herald again: its process id, or an error's code. */
  const again = async (): Promise<string | undefined> => {
    child.stdin.write('again\n');
    return (await lines.next()).value;
  };
  return { child, connection, server, greeting, herald, again, close };
}

const HERALDED = `
  import { createSocket } from 'node:dgram';
  import { createInterface } from 'node:readline';
  import { loadAddon } from ${JSON.stringify(ADDON)};
  createSocket('udp4').bind(0, '127.0.0.1', () => {
    const addon = loadAddon();
    addon.keepMemory();
    const say = () => {
      try {
        console.log(addon.startHerald(process.argv[1], 'hello\\n'));
      } catch (error) {
        console.log(error.code);
      }
    };
    say();
    createInterface({ input: process.stdin }).on('line', (line) => {
      if (line === 'end') addon.endHerald();
      else say();
    });
  });
`;

if (!(loadAddon() instanceof Error))
  describe('the herald', () => {
    it('is one process, greets, and has no descriptor but a pipe and the connection', async () => {
      const { greeting, herald, again, close } = await startHeralded();
      assert.equal(greeting, 'hello\n');
      assert.equal(await again(), `${herald}`);
      assert.equal(readFileSync(`/proc/${herald}/comm`, 'utf8'), 'nodens-herald\n');
      const held = readdirSync(`/proc/${herald}/fd`).map((fd) =>
        readlinkSync(`/proc/${herald}/fd/${fd}`).replace(/\[\d+\]$/, ''),
      );
      assert.deepEqual(held.sort(), ['pipe:', 'socket:']);
      close();
    });

    for (const whose of ['herald', 'agent'] as const)
      it(`its connection ends when the ${whose} is killed`, async () => {
        const { child, connection, herald, close } = await startHeralded();
        const ended = once(connection, 'close');
        connection.resume();
        process.kill(whose === 'herald' ? herald : (child.pid as number), 'SIGKILL');
        await ended;
        close();
      });

    it('ends when the agent says so, and a new one comes when it is asked for', async () => {
      const { child, connection, herald, again, close } = await startHeralded();
      const ended = once(connection, 'close');
      connection.resume();
      child.stdin.write('end\n');
      await ended;
      await eventually('the herald is gone', () => gone(herald), 2_000);
      const next = Number(await again());
      assert.notEqual(next, herald);
      child.stdin.write('end\nend\n');
      await eventually('the next one is gone, too', () => gone(next), 2_000);
      assert.notEqual(Number(await again()), next);
      close();
    });

    it('leaves no descriptor behind however often it is begun anew', async () => {
      const { child, herald, again, close } = await startHeralded();
      const held = (): number => readdirSync(`/proc/${child.pid}/fd`).length;
      const before = held();
      let last = herald;
      for (let i = 0; i < 5; i++) {
        process.kill(last, 'SIGKILL');
        await eventually('the herald is gone', () => gone(last), 2_000);
        last = Number(await again());
      }
      assert.equal(held(), before);
      close();
    });

    it('ends with init, and a new one comes when it is asked for', async () => {
      const { connection, server, herald, again, close } = await startHeralded();
      const accepted = once(server, 'connection');
      connection.destroy();
      await eventually('the herald is gone', () => gone(herald), 2_000);
      assert.notEqual(await again(), `${herald}`);
      const [next] = (await accepted) as [Socket];
      server.close();
      next.destroy();
      await eventually('nobody listens', async () => (await again()) === 'ENOENT', 2_000);
      close();
    });
  });

it('both are done without where the system refuses them', () => {
  const log = new RecordingLogger();
  const refuse = (): never => {
    throw Object.assign(new Error('clone EPERM'), { code: 'EPERM' });
  };
  const addon = { keepMemory: refuse, startHerald: refuse, endHerald: refuse };
  startKeeper(addon, log);
  heraldsOf(addon, log).start('/nowhere', '');
  assert.match(
    JSON.stringify(log.records),
    /EPERM.*cannot start nodens-keeper.*EPERM.*cannot start nodens-herald/,
  );
});
