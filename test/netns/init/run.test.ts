import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import {
  type AgentMessage,
  controlDecoder,
  encodeControl,
  type InitMessage,
} from '../../../agent/base/control.ts';
import { allowedMs } from '../../support/machine.ts';
import {
  hasQueryTable,
  INIT,
  LEGACY_RULE,
  LINK_LOCAL,
  runInit,
  snapshot,
  snapshotWithoutHandles,
  startEcho,
  startedInit,
  startInit,
  withRoom,
} from '../../support/netns/init.ts';
import { canMakeNetns, eventually, sayLeftOut } from '../../support/netns/netns.ts';

/** The agent's side of the control socket. */
interface Agent {
  readonly messages: InitMessage[];
  say(message: AgentMessage): void;
  end(): void;
}

async function connectAgent(path: string): Promise<Agent> {
  const messages: InitMessage[] = [];
  const socket: Socket = connect(path);
  socket.setEncoding('utf8');
  socket.on(
    'data',
    controlDecoder<InitMessage>((message) => messages.push(message), assert.fail),
  );
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve);
  });
  return {
    messages,
    say: (message) => void socket.write(encodeControl(message)),
    end: () => void socket.destroy(),
  };
}

function lastState(agent: Agent): string | undefined {
  const last = agent.messages.findLast((message) => message.type === 'status');
  return last?.state;
}

if (!canMakeNetns()) sayLeftOut('init-run');
else
  describe('init as a long-running process', { concurrency: false }, () => {
    it('without a control socket: intercepts when the agent answers, withdraws when not', () =>
      withRoom(async (room) => {
        const init = await startedInit(room);
        assert.equal(await hasQueryTable(room.node), false);
        const agent = await startEcho(room.node, 'agent', LINK_LOCAL);
        await eventually('init intercepts', () => hasQueryTable(room.node));
        agent.kill('SIGKILL');
        await eventually('init has withdrawn', async () => !(await hasQueryTable(room.node)));
        await startEcho(room.node, 'agent', LINK_LOCAL);
        await eventually('init intercepts again', () => hasQueryTable(room.node));
        init.kill('SIGTERM');
        assert.equal(await init.exited, 0);
        assert.equal(await hasQueryTable(room.node), false);
        assert.match(await snapshot(room.node), /nodens_standing_main/);
      }));

    it('intercepts and withdraws as the agent says on the control socket', () =>
      withRoom(async (room) => {
        const init = await startedInit(room);
        const agent = await connectAgent(room.socket);
        await eventually('init reports "waiting"', () => lastState(agent) === 'waiting');
        agent.say({ type: 'ready', nonce: 'agent' });
        assert.equal(await hasQueryTable(room.node), false);
        await startEcho(room.node, 'agent', LINK_LOCAL);
        await eventually('init intercepts', () => lastState(agent) === 'intercepting');
        assert.equal(await hasQueryTable(room.node), true);

        agent.say({ type: 'withdraw' });
        await eventually('init acknowledges the withdraw', () =>
          agent.messages.some(({ type }) => type === 'withdrawn'),
        );
        assert.equal(await hasQueryTable(room.node), false);
        assert.equal(lastState(agent), 'withdrawn');

        agent.say({ type: 'ready', nonce: 'agent' });
        await eventually('init intercepts again', () => hasQueryTable(room.node));
        agent.end();
        await eventually(
          'init withdraws after the end of the agent',
          async () => !(await hasQueryTable(room.node)),
        );
        init.kill('SIGINT');
        assert.equal(await init.exited, 0);
      }));

    it('keeps interception when one of two ready agents leaves', () =>
      withRoom(async (room) => {
        await startedInit(room);
        await startEcho(room.node, 'agent', LINK_LOCAL);
        const [first, second] = [await connectAgent(room.socket), await connectAgent(room.socket)];
        first.say({ type: 'ready', nonce: 'agent' });
        second.say({ type: 'ready', nonce: 'agent' });
        await eventually('init intercepts', () => lastState(second) === 'intercepting');
        first.say({ type: 'withdraw' });
        await eventually('init acknowledges the withdraw', () =>
          first.messages.some(({ type }) => type === 'withdrawn'),
        );
        assert.equal(await hasQueryTable(room.node), true);
        first.end();
        second.end();
        await eventually('init has withdrawn', async () => !(await hasQueryTable(room.node)));
      }));

    it('two inits on a node intercept at the same time, and stop one after the other', () =>
      withRoom(async (room) => {
        const tables = async (): Promise<number> =>
          (await room.node.run('nft', ['list', 'tables'])).split('nodens_query_').length - 1;
        const old = await startedInit(room);
        await startEcho(room.node, 'agent', LINK_LOCAL);
        await eventually('init intercepts', () => hasQueryTable(room.node));
        const next = await startedInit({
          ...room,
          args: ['--localip', LINK_LOCAL, '--socket', `${room.socket}.2`],
        });
        await eventually('both inits intercept', async () => (await tables()) === 2);
        old.kill('SIGTERM');
        assert.equal(await old.exited, 0);
        assert.equal(await tables(), 1);
        assert.match(await snapshot(room.node), /nodens:reply-udp4/);
        for (const init of [old, next])
          assert.doesNotMatch(init.output(), /put back|"level":"(warn|error)"/);
      }));

    it('leaves the same rules after every start and stop', () =>
      withRoom(async (room) => {
        const cycle = async (): Promise<string> => {
          const init = await startedInit(room);
          init.kill('SIGTERM');
          assert.equal(await init.exited, 0);
          return (await snapshotWithoutHandles(room.node)).replaceAll(/valid_lft \S+/g, '');
        };
        const first = await cycle();
        const cycles = Number(process.env.NODENS_CHAOS_CYCLES ?? 5);
        for (let i = 1; i < cycles; i++) assert.equal(await cycle(), first, `after ${i}`);
      }));

    it("--skipteardown keeps the rules that end with the agent's socket", () =>
      withRoom(async (room) => {
        const init = await startedInit(room, '--skipteardown');
        await startEcho(room.node, 'agent', LINK_LOCAL);
        await eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
        init.kill('SIGTERM');
        await init.exited;
        const rules = await snapshot(room.node);
        assert.match(rules, /query-pod-udp4/);
        assert.doesNotMatch(rules, /query-host/);
      }));

    it('refuses to start beside another init', () =>
      withRoom(async (room) => {
        await startedInit(room);
        await assert.rejects(runInit(room.node, ...room.args), /another nodens init answers on/);
      }));

    it('waits for the xtables lock in the background and counts it', () =>
      withRoom(async (room) => {
        const lock = `${room.socket}.lock`;
        const holder = room.node.start('flock', [
          '-F',
          lock,
          'sh',
          '-c',
          'echo held; exec sleep 60',
        ]);
        await eventually('flock holds the lock', () => holder.output().includes('held'));
        await room.node.run('iptables-legacy', LEGACY_RULE);
        const init = startInit(room.node, [...room.args, '--backend', 'iptables'], {
          XTABLES_LOCKFILE: lock,
        });
        await eventually('init counts the lock error', () =>
          init.output().includes('"errortype":"iptables_lock"'),
        );
        const agent = await connectAgent(room.socket);
        await eventually('init sends a status', () => agent.messages.length > 0);
        const [status] = agent.messages;
        assert.equal(status?.type === 'status' && status.setupErrors.iptables_lock, 1);
        holder.kill('SIGKILL');
        await eventually('init is set up after the lock is free', async () =>
          (await room.node.run('iptables-legacy-save', [])).includes('NODENS-STANDING-OUTPUT'),
        );
        agent.end();
      }));

    it('stops while another program holds the xtables lock', () =>
      withRoom(async (room) => {
        const lock = `${room.socket}.lock`;
        await room.node.run('iptables-legacy', LEGACY_RULE);
        const env = { XTABLES_LOCKFILE: lock };
        const init = startInit(room.node, [...room.args, '--backend', 'iptables'], env);
        await eventually('init is set up', () => init.output().includes('"msg":"set up"'));
        await startEcho(room.node, 'agent', LINK_LOCAL);
        await eventually('init intercepts', () => init.output().includes('"state":"intercepting"'));
        const hold = ['-F', lock, 'sh', '-c', 'echo held; exec sleep 60'];
        const holder = room.node.start('flock', hold);
        await eventually('flock holds the lock', () => holder.output().includes('held'));
        const startMs = performance.now();
        init.kill('SIGTERM');
        assert.equal(await init.exited, 0);
        const tookMs = performance.now() - startMs;
        assert.ok(tookMs <= (await allowedMs(8_000)), `${tookMs} ms`);
      }));

    it('names the missing capability, and what to do', () =>
      withRoom(async (room) => {
        const init = room.node.start('setpriv', [
          ...['--bounding-set', '-net_admin', '--inh-caps', '-net_admin', process.execPath],
          ...[INIT, ...room.args],
        ]);
        assert.equal(await init.exited, 1);
        assert.match(init.output(), /CAP_NET_ADMIN is missing.*add NET_ADMIN to the container's/);
      }));
  });
