/** Connections that many clients open at once become sockets in turns of the clients. */
import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { it } from 'node:test';
import { loadAddon } from '../../../../agent/server/addon.ts';
import { AcceptQueue } from '../../../../agent/server/tcp/accept-queue.ts';
import { TcpClients } from '../../../../agent/server/tcp/clients.ts';
import {
  type AcceptNext,
  takeoverListen,
} from '../../../../agent/server/tcp/reuseport-takeover.ts';
import { TcpScheduler } from '../../../../agent/server/tcp/scheduler.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { eventually } from '../../../support/netns/netns.ts';

const FLOODER = '127.0.0.66';
const POD = '127.0.0.8';
const BACKLOG = 1_024;
/** Half of the room. */
const MAX_OF_CLIENT = 512;

/** A process that connects, with each address that often and in this order, and says how many of them the agent closed. */
function connecting(port: number, counts: Readonly<Record<string, number>>): ChildProcess {
  const program = `const { connect } = require('node:net'); const { once } = require('node:events');
    let closed = 0; let looks = 0;
    const look = () => { if (closed < opened && looks++ < 500) return; process.stdout.write(String(closed)); process.exit(); };
    const opened = ${Object.values(counts).reduce((sum, count) => sum + count)};
    process.stdin.resume().on('end', () => setInterval(look, 10));
    (async () => { for (const [localAddress, count] of Object.entries(${JSON.stringify(counts)}))
      for (let i = 0; i < count; i++) { const socket = connect({ port: ${port}, host: '127.0.0.1', localAddress });
        socket.on('error', () => {}).on('close', () => { closed++; }).resume(); await once(socket, 'connect'); } })();`;
  return spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
}

interface Listening {
  readonly port: number;
  readonly queue: AcceptQueue;
  /** Addresses of the clients whose connections were made, in order. */
  readonly made: string[];
  readonly crowded: string[];
  close(): void;
}

async function listening(): Promise<Listening> {
  const addon = loadAddon();
  if (addon instanceof Error) throw addon;
  const server = createServer();
  const made: string[] = [];
  const crowded: string[] = [];
  const sockets: Socket[] = [];
  const onSocket = (socket: Socket): void => {
    sockets.push(socket.on('error', () => undefined));
    made.push(socket.remoteAddress ?? '');
  };
  const endpoint = { address: '127.0.0.1', port: 0 };
  const acceptNext = (await takeoverListen(addon)(server, endpoint, BACKLOG)) as AcceptNext;
  const queue = new AcceptQueue({
    ...{ acceptNext, scheduler: new TcpScheduler(), onSocket, room: { max: BACKLOG, count: 0 } },
    onCrowded: (key) => crowded.push(key),
  });
  server.on('connection', (socket) => {
    onSocket(socket);
    queue.fill();
  });
  const { port } = server.address() as AddressInfo;
  return {
    ...{ port, queue, made, crowded },
    close: () => {
      server.close();
      queue.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Blocks this process until `count` have connected: none of them is accepted meanwhile. */
function waitForBacklog(port: number, count: number): void {
  const queued = `ss -Hltn sport = :${port} | awk '{print $2}'`;
  const wait = `until [ "$(${queued})" = ${count} ]; do sleep 0.02; done`;
  assert.equal(spawnSync('sh', ['-c', wait], { timeout: 30_000 }).status, 0);
}

const skip = loadAddon() instanceof Error;

it('a client that opens many connections at once has its turn as any other', { skip }, async () => {
  const { port, made, crowded, close } = await listening();
  const clients = connecting(port, { [FLOODER]: 200, [POD]: 1 });
  waitForBacklog(port, 201);
  await eventually('all are made', () => made.length === 201);
  // The first one comes without the queue, the second one is the flooder's turn.
  assert.ok(made.indexOf(POD) <= 2, `made as number ${made.indexOf(POD)}`);
  assert.deepEqual(crowded, []);
  close();
  clients.stdin?.end();
  await once(clients, 'exit');
});

it('a client may have a limited number that wait, and only its own are closed', {
  skip,
}, async () => {
  const { port, made, crowded, close } = await listening();
  const clients = connecting(port, { [FLOODER]: 700, [POD]: 3 });
  waitForBacklog(port, 703);
  const held = 1 + MAX_OF_CLIENT;
  await eventually('all are accepted', () => made.length === held + 3);
  assert.equal(crowded.length, 700 - held);
  assert.deepEqual([...new Set(crowded)], ['\x7f\x00\x00\x42']);
  assert.equal(made.filter((address) => address === POD).length, 3);
  close();
  clients.stdin?.end();
  await once(clients, 'exit');
});

it('a client that connects as fast as the agent accepts ends no turn of the event loop', () => {
  const scheduler = new TcpScheduler();
  let looks = 0;
  scheduler.remember({ exchangeNow: () => void looks++ });
  let accepted = 0;
  const queue = new AcceptQueue({
    acceptNext: () => {
      assert.ok(accepted++ < 10_000, 'fill does not return');
      return { descriptor: openSync('/dev/null', 'r'), key: FLOODER };
    },
    scheduler,
    room: { max: BACKLOG, count: 0 },
    onSocket: () => undefined,
    onCrowded: () => undefined,
  });
  for (let turn = 1; turn <= 4; turn++) {
    queue.fill();
    assert.ok(accepted <= turn * BACKLOG, `${accepted} accepted in ${turn} turns`);
  }
  assert.equal(queue.size, MAX_OF_CLIENT);
  // Datagrams that arrive meanwhile are answered.
  assert.ok(looks >= accepted / 32, `${looks} looks at the datagrams`);
  queue.close();
});

it('all listeners together leave descriptors for upstreams', () => {
  const { waiting: room, scheduler } = new TcpClients(ledgerWith(), 40, 20);
  let client = 0;
  const parts = {
    acceptNext: () => ({ descriptor: openSync('/dev/null', 'r'), key: `${client++}` }),
    ...{ room, scheduler },
    onSocket: () => undefined,
    onCrowded: () => undefined,
  };
  const queues = [new AcceptQueue(parts), new AcceptQueue(parts)];
  for (const queue of queues) queue.fill();
  assert.equal(client, 20);
  for (const queue of queues) queue.close();
  assert.equal(room.count, 0);
});

it('those that wait are closed with the listener', { skip }, async () => {
  const { port, queue, made, close } = await listening();
  const clients = connecting(port, { [FLOODER]: 300 });
  waitForBacklog(port, 300);
  while (made.length === 0) await new Promise(setImmediate);
  assert.ok(queue.size > 0);
  const before = made.length;
  close();
  assert.equal(queue.size, 0);
  let printed = '';
  clients.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  await new Promise(setImmediate);
  assert.equal(made.length, before);
  clients.stdin?.end();
  await once(clients, 'close');
  assert.equal(printed, '300');
});
