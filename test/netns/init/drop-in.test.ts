import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { allowedMs } from '../../support/machine.ts';
import {
  canMakeNetns,
  eventually,
  type Netns,
  sayLeftOut,
  withNetns,
} from '../../support/netns/netns.ts';

const INIT = fileURLToPath(new URL('../../../init/main.ts', import.meta.url));

/** Logs its user and group, talks to init as the agent does, and ends as its first argument says. */
const AGENT = `
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createSocket } from 'node:dgram';
process.on('SIGTERM', () => { console.log('agent hears SIGTERM'); process.exit(process.argv[2] === 'drain' ? 0 : 3); });
process.on('SIGUSR1', () => console.log('agent hears SIGUSR1'));
const status = readFileSync('/proc/self/status', 'utf8');
const field = (name) => new RegExp('^' + name + ':\\\\s*(\\\\S+)', 'm').exec(status)[1];
console.log('agent pid', process.pid);
const admin = process.env.NODENS_ADMIN_SOCKET;
createServer().listen(admin, () => console.log('agent opens', admin)).on('error', console.error).unref();
console.log('agent', JSON.stringify({
  args: process.argv.slice(2), uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(),
  effective: field('CapEff'), bounding: field('CapBnd'), noNewPrivs: field('NoNewPrivs'),
}));
const answer = (query) => {
  const question = Buffer.concat([query.subarray(0, 12), query.subarray(12, query.indexOf(0, 12) + 5)]);
  question[2] |= 0x80;
  question[7] = 1;
  return Buffer.concat([question, Buffer.from([0xc0, 12, 0, 16, 0, 3, 0, 0, 0, 0, 0, 6, 5]), Buffer.from('nonce')]);
};
const udp = createSocket('udp4');
udp.on('message', (m, from) => udp.send(answer(m), from.port, from.address));
const tcp = createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (frame) => {
    const bytes = answer(frame.subarray(2));
    socket.write(Buffer.concat([Buffer.from([0, bytes.length]), bytes]));
  });
});
tcp.listen(53, '169.254.20.10');
udp.bind(53, '169.254.20.10', () => {
  const control = connect(process.env.NODENS_CONTROL_SOCKET, () =>
    control.write('{"type":"ready","nonce":"nonce"}\\n'));
  control.on('data', (line) => {
    if (process.argv[2] === 'crash' && String(line).includes('"intercepting"')) process.exit(7);
  });
});
`;

/** A build output with the real init and the stand-in agent, laid out like `dist/`. */
async function withDist(work: (init: string, node: Netns) => Promise<void>): Promise<void> {
  const dist = await mkdtemp(join(tmpdir(), 'nodens-dist-'));
  try {
    await chmod(dist, 0o755);
    await build({
      entryPoints: { 'init/main': INIT },
      outdir: dist,
      bundle: true,
      splitting: true,
      chunkNames: 'chunks/[name]-[hash]',
      platform: 'node',
      format: 'esm',
      banner: {
        js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);",
      },
    });
    await mkdir(join(dist, 'agent'));
    await writeFile(join(dist, 'agent/main.js'), AGENT);
    await writeFile(join(dist, 'package.json'), '{"type":"module"}');
    await withNetns(['node'], (node) => work(join(dist, 'init/main.js'), node));
  } finally {
    await rm(dist, { recursive: true, force: true });
  }
}

function supervise(init: string, socket: string, ...agentArgs: string[]): string[] {
  return [
    ...[init, '--localip', '169.254.20.10', '--socket', socket, '--supervise'],
    ...['--', ...agentArgs],
  ];
}

async function queryTable(node: Netns): Promise<boolean> {
  return (await node.run('nft', ['list', 'tables'])).includes('nodens_query_');
}

if (!canMakeNetns()) sayLeftOut('init-dropin');
else
  describe('init with the agent as its child', { concurrency: false }, () => {
    it('runs the agent unprivileged, forwards signals after withdrawal, exits with its code', () =>
      withDist(async (program, node) => {
        const args = supervise(program, `${program}.sock`, 'drain', '-conf', '/etc/Corefile');
        const init = node.start(process.execPath, args);
        await eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
        const said = /^agent (\{.*)$/m.exec(init.output())?.[1] ?? '';
        const NET_BIND_SERVICE = (1n << 10n).toString(16).padStart(16, '0');
        assert.deepEqual(JSON.parse(said), {
          args: ['drain', '-conf', '/etc/Corefile'],
          uid: 65_532,
          gid: 65_532,
          groups: [65_532],
          effective: NET_BIND_SERVICE,
          bounding: NET_BIND_SERVICE,
          noNewPrivs: '1',
        });
        const admin = join(dirname(program), 'agent/admin.sock');
        await eventually('its admin socket', () => init.output().includes(`agent opens ${admin}`));
        init.kill('SIGUSR1');
        await eventually('the agent gets SIGUSR1', () =>
          init.output().includes('agent hears SIGUSR1'),
        );
        assert.doesNotMatch(init.output(), /Debugger listening/);
        init.kill('SIGTERM');
        assert.equal(await init.exited, 0);
        assert.match(init.output(), /"state":"withdrawn".*agent hears SIGTERM/s);
        assert.equal(await queryTable(node), false);
      }));

    it("withdraws when the agent crashes, and exits with the agent's code", () =>
      withDist(async (program, node) => {
        const init = node.start(process.execPath, supervise(program, `${program}.sock`, 'crash'));
        assert.equal(await init.exited, 7);
        assert.equal(await queryTable(node), false);
        assert.match(await node.run('nft', ['list', 'tables']), /nodens_standing_main/);
      }));

    it('restarts an agent that is frozen, and stops a frozen agent', () =>
      withDist(async (program, node) => {
        const init = node.start(process.execPath, supervise(program, `${program}.sock`, 'drain'));
        await eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
        const freeze = (): void => {
          const [, pid = ''] = [...init.output().matchAll(/^agent pid (\d+)$/gm)].at(-1) ?? [];
          process.kill(Number(pid), 'SIGSTOP');
        };
        freeze();
        await eventually(
          'init has withdrawn',
          async () => !(await queryTable(node)),
          await allowedMs(3_000),
        );
        const starts = (): number => init.output().split('agent {').length - 1;
        await eventually('init restarts the agent', () => starts() === 2);
        assert.match(init.output(), /"msg":"agent unresponsive: restarting it"/);
        freeze();
        init.kill('SIGTERM');
        assert.equal(await init.exited, 0);
      }));

    it('runs the agent as its own user, with one warning, if it cannot change the user', () =>
      withDist(async (program, node) => {
        const args = supervise(program, `${program}.sock`, 'drain');
        const init = node.start('setpriv', [
          ...['--bounding-set', '-setuid,-setgid', process.execPath, ...args],
        ]);
        await eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
        assert.equal(init.output().split('it keeps the privileges of init').length, 2);
        assert.match(init.output(), /"uid":0/);
        init.kill('SIGTERM');
        assert.equal(await init.exited, 0);
      }));

    it('continues without a control socket if it cannot create one', () =>
      withDist(async (program, node) => {
        const args = supervise(program, `${program}/control.sock`, 'drain');
        const init = node.start(process.execPath, args);
        await eventually('init logs that it cannot open the control socket', () =>
          init.output().includes('cannot open the control socket'),
        );
        await eventually('the agent runs', () => init.output().includes('agent {'));
        init.kill('SIGTERM');
        await init.exited;
      }));
  });
