import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { loadAddon } from '../../../../agent/server/addon.ts';
import { TcpClients } from '../../../../agent/server/tcp/clients.ts';
import { TcpListener } from '../../../../agent/server/tcp/listener.ts';
import {
  type ListenTcp,
  sharedListen,
  takeoverListen,
} from '../../../../agent/server/tcp/reuseport-takeover.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { answerTo, fixtureFor, queryWire } from '../../../support/server/fixture.ts';
import { tcpClient } from '../../../support/server/tcp-client.ts';

const BACKLOG = 128;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function listening(listen: ListenTcp, port = 0, address = '127.0.0.1') {
  const server = createServer();
  const seen = { count: 0 };
  server.on('connection', (socket) => {
    seen.count++;
    socket.on('error', () => undefined);
    socket.destroy();
  });
  await listen(server, { address, port }, BACKLOG);
  closers.push(() => server.close());
  return { server, seen, port: portOf(server) };
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function connections(count: number, port: number, host?: string): Promise<void> {
  for (let i = 0; i < count; i++) (await tcpClient(port, host)).socket.destroy();
}

const addon = loadAddon();
if (addon instanceof Error) {
  it('the addon is compiled wherever there is a compiler', () => {
    assert.notEqual(spawnSync('cc', ['--version']).status, 0, addon.message);
  });
} else {
  const steered = takeoverListen(addon);

  describe('a listener with reuseport takeover', () => {
    for (const address of ['127.0.0.1', '::1']) {
      it(`gets every new connection beside an older listener, and works alone (${address})`, async () => {
        const first = await listening(steered, 0, address);
        await connections(20, first.port, address);
        await eventually('alone', () => first.seen.count === 20);
        const second = await listening(steered, first.port, address);
        await connections(40, first.port, address);
        await eventually('both', () => first.seen.count + second.seen.count === 60);
        assert.equal(second.seen.count, 40);

        first.server.close();
        await connections(20, first.port, address);
        await eventually('the newer one alone', () => second.seen.count === 60);
        const third = await listening(steered, first.port, address);
        await connections(20, first.port, address);
        await eventually('a third', () => third.seen.count === 20);
        assert.equal(second.seen.count, 60);
      });
    }

    it('takes over from a listener without takeover, as of an agent without the addon', async () => {
      const old = await listening(sharedListen);
      const fresh = await listening(steered, old.port);
      await connections(40, old.port);
      await eventually('all', () => old.seen.count + fresh.seen.count === 40);
      assert.equal(fresh.seen.count, 40);
    });

    it('has the requested backlog', async () => {
      const { port } = await listening(steered);
      const { stdout } = spawnSync('ss', ['-Hltn', `sport = :${port}`], { encoding: 'utf8' });
      assert.equal(stdout.trim().split(/\s+/)[2], String(BACKLOG));
    });

    it('fails with the errno', async () => {
      const alone = createServer().listen(0, '127.0.0.1');
      await once(alone, 'listening');
      closers.push(() => alone.close());
      const server = createServer();
      const taken = { address: '127.0.0.1', port: portOf(alone) };
      await assert.rejects(steered(server, taken, BACKLOG), { code: 'EADDRINUSE' });
      const foreign = { address: '192.0.2.1', port: 0 };
      await assert.rejects(steered(server, foreign, BACKLOG), { code: 'EADDRNOTAVAIL' });
    });
  });
}

it('a drain answers connections that are not accepted yet', async () => {
  const fixture = fixtureFor(answerTo);
  const listener = await TcpListener.open({
    ...{ endpoint: { address: '127.0.0.1', port: 0 }, listen: sharedListen },
    ...{
      processor: fixture.processor('tcp'),
      clock: fixture.clock,
      clients: new TcpClients(ledgerWith()),
    },
    ...{ connections: { value: 0 }, rejected: { value: 0 }, onError: assert.ifError },
    ...{ onClosed: assert.fail, onCrowded: assert.fail },
  });
  closers.push(() => listener.close());
  const count = 50;
  const asking = askers(count, listener.endpoint.port);
  closers.push(() => asking.kill('SIGKILL'));
  let answered = '';
  asking.stdout?.on('data', (chunk: Buffer) => {
    answered += chunk.toString();
  });
  // Blocks this process until all have connected: none of them is accepted meanwhile.
  const queue = `until [ "$(ss -Hltn sport = :${listener.endpoint.port} | awk '{print $2}')" = ${count} ]; do sleep 0.02; done`;
  assert.equal(spawnSync('sh', ['-c', queue], { timeout: 20_000 }).status, 0);
  listener.drain();
  await once(asking, 'exit');
  assert.equal(answered, 'x'.repeat(count));
  // The agent may see the ends of the connections later than this test sees the end of the process.
  await eventually('no connection is unfinished', () => listener.unfinishedConnections === 0);
});

/** A process with `count` clients that ask one query each, and print x for each answer. */
function askers(count: number, port: number): ChildProcess {
  const query = queryWire('a.test', 1);
  const framed = Buffer.concat([Buffer.from([0, query.length]), query]).toString('base64');
  const program = `const { connect } = require('node:net');
    for (let i = 0; i < ${count}; i++) connect(${port}, '127.0.0.1')
      .on('connect', function () { this.write(Buffer.from('${framed}', 'base64')); })
      .on('data', () => process.stdout.write('x')).on('error', () => {});`;
  return spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
}
