/** The admin socket of nodens as built: whose it is, who may use it, and what a command says where there is none. */
import assert from 'node:assert/strict';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { COMMANDS } from '../../../agent/base/commands/table.ts';
import { eventually } from '../../support/netns/netns.ts';
import { OperatedAgent, runNodens } from '../../support/operator.ts';

const agent = new OperatedAgent();
before(() => agent.start());
after(() => agent.remove());

describe('the admin socket', () => {
  it('is a socket that only its owner can open', () => {
    const { mode } = statSync(agent.socket);
    assert.equal(mode & 0o777, 0o600);
  });

  it('answers status', async () => {
    const { code, out, err } = await agent.run('status');
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assert.match(out, /^ready +yes$/m);
    assert.match(out, /^interception +no init$/m);
    assert.match(out, new RegExp(`^listens on +127\\.0\\.0\\.1:${agent.port}$`, 'm'));
    assert.match(out, /^cache .* answers, \d+ denials and failures$/m);
    assert.match(out, /^UPSTREAM +STATE +LATENCY/m);
    const [status] = await agent.json('status');
    assert.equal(status?.pid, agent.pid);
    assert.equal(status?.isConfigurationValid, true);
    assert.match(String(status?.configuration), /^[0-9a-f]{16}$/);
  });

  it('of a dead agent is replaced, that of a living one is not', async () => {
    await agent.end('SIGKILL');
    assert.ok(statSync(agent.socket).isSocket(), 'a killed agent leaves it');
    const dead = await agent.run('status');
    assert.equal(dead.code, 3);
    assert.match(dead.err, /the agent is dead/);
    await agent.start();
    const other = new OperatedAgent({ args: ['-admin-socket', agent.socket], hasSocket: false });
    try {
      // The last flag wins: the other agent wants the same path, and serves DNS without it.
      await other.start();
      await eventually('the other says why', () =>
        Promise.resolve(/"event":"admin-socket".*another agent has/.test(other.log)),
      );
      const [status] = await agent.json('status');
      assert.equal(status?.pid, agent.pid);
    } finally {
      await other.remove();
    }
  });

  it('is removed at a stop', async () => {
    await agent.end();
    assert.throws(() => statSync(agent.socket), { code: 'ENOENT' });
    const { code, err } = await agent.run('status');
    assert.equal(code, 3);
    assert.match(err, /^nodens status: no agent answers \(.*admin\.sock: no socket there\)/);
    await agent.start();
  });

  it('never replaces a file that is no socket', async () => {
    const path = join(agent.folder, 'notes');
    writeFileSync(path, 'mine');
    chmodSync(path, 0o600);
    const other = new OperatedAgent({ args: ['-admin-socket', path], hasSocket: false });
    try {
      await other.start();
      await eventually('the other says why', () =>
        Promise.resolve(/"event":"admin-socket".*is not a socket/.test(other.log)),
      );
      assert.equal(statSync(path).size, 4);
    } finally {
      await other.remove();
    }
  });

  it('refuses what is no request, and lives on', async () => {
    for (const text of ['hello\n', '{}\n', '{"command":"explode"}\n', 'x'.repeat(10_000)]) {
      const reply = await new Promise<string>((resolve) => {
        const socket = connect(agent.socket);
        let all = '';
        socket.on('data', (chunk) => {
          all += chunk.toString();
        });
        socket.on('close', () => resolve(all));
        socket.on('error', () => undefined);
        socket.write(text);
      });
      assert.match(reply, /"line":"error".*"isUsage":true/, text.slice(0, 40));
    }
    assert.equal((await agent.run('status')).code, 0);
  });
});

describe('a command', () => {
  it('says where it looked', async () => {
    const env = { XDG_RUNTIME_DIR: agent.folder, NODENS_ADMIN_SOCKET: join(agent.folder, 'none') };
    const { code, err } = await runNodens(['cache', 'stats'], env);
    assert.equal(code, 3);
    assert.match(err, /none: no socket there.*-admin-socket or NODENS_ADMIN_SOCKET/);
  });

  for (const command of COMMANDS.map((one) => one.command))
    it(`${command} --help has usage, examples and exit codes`, async () => {
      const { code, out, err } = await runNodens([command, '--help'], {});
      assert.deepEqual({ code, err }, { code: 0, err: '' });
      assert.match(out, new RegExp(`^nodens ${command}: .+\n\nUsage: nodens ${command}( .*)?\n`));
      assert.match(out, /^Examples:\n {2}(?:nodens|kubectl|eval) ?/m);
      assert.match(out, /^Exit code: 0 [\s\S]*2 .*wrong usage/m);
    });
});
