import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { it } from 'node:test';
import { loadAddon } from '../../../agent/server/addon.ts';
import { type ConnectedSockets, connectedOpener } from '../../../agent/server/udp/connected.ts';
import { freePort } from '../../support/free-port.ts';
import { eventually } from '../../support/netns/netns.ts';

interface Server {
  readonly socket: Socket;
  readonly port: number;
  readonly received: { readonly text: string; readonly from: RemoteInfo }[];
}

/** A server of its own process, on the port in its argument. */
const ECHO = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (message, { port }) => socket.send(message, port));
socket.bind(Number(process.argv[1]), '127.0.0.1', () => console.log('ready'));
`;

async function startEcho(): Promise<{ readonly port: number; readonly echo: ChildProcess }> {
  const port = await freePort();
  const echo = spawn(process.execPath, ['-e', ECHO, `${port}`], { stdio: 'pipe' });
  await once(echo.stdout, 'data');
  return { port, echo };
}

const unheard = (message: Buffer): never => assert.fail(`heard ${message}`);

async function serve(address: string): Promise<Server> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const received: Server['received'] = [];
  socket.on('message', (message, from) => received.push({ text: String(message), from }));
  socket.bind(0, address);
  await once(socket, 'listening');
  return { socket, port: socket.address().port, received };
}

function cases({ connect, exchangeNow }: ConnectedSockets): void {
  for (const address of ['127.0.0.1', '::1']) {
    it(`sends to ${address} and receives its answers only`, async () => {
      const server = await serve(address);
      const stranger = await serve(address);
      const received: string[] = [];
      const onMessage = (message: Buffer): void => void received.push(String(message));
      const socket = connect({ address, port: server.port }, { onMessage, onError: assert.fail });
      socket.send(Buffer.from('question'));
      await eventually('asked', () => server.received.length === 1);
      const { port = 0 } = server.received[0]?.from ?? {};
      stranger.socket.send('forged', port, address);
      server.socket.send('answer', port, address);
      await eventually('answered', () => received.length > 0);
      assert.deepEqual(received, ['answer']);
      socket.close();
      for (const { socket: each } of [server, stranger]) each.close();
    });
  }

  it('keeps order over several sockets, more than a batch in one turn', async () => {
    const server = await serve('127.0.0.1');
    const to = { address: '127.0.0.1', port: server.port };
    const events = { onMessage: unheard, onError: assert.fail };
    const sockets = [connect(to, events), connect(to, events)];
    const all = Array.from({ length: 150 }, (_, i) => `${i}`);
    const message = Buffer.alloc(3);
    for (const [i, text] of all.entries()) {
      const length = message.write(text);
      sockets[Math.floor(i / 25) % 2]?.send(message.subarray(0, length));
    }
    await eventually('all there', () => server.received.length === all.length);
    assert.deepEqual(
      server.received.map(({ text }) => text),
      all,
    );
    for (const socket of sockets) socket.close();
    server.socket.close();
  });

  it('exchanges messages within a turn of the event loop, and nothing within a batch', async () => {
    const { port, echo } = await startEcho();
    const received: string[] = [];
    const onMessage = (message: Buffer): void => {
      exchangeNow();
      received.push(String(message));
    };
    const to = { address: '127.0.0.1', port };
    const socket = connect(to, { onMessage, onError: assert.fail });
    socket.send(Buffer.from('one'));
    socket.send(Buffer.from('two'));
    const endMs = performance.now() + 5_000;
    while (received.length < 2 && performance.now() < endMs) exchangeNow();
    assert.deepEqual(received, ['one', 'two']);
    socket.close();
    exchangeNow();
    echo.kill();
  });

  it('sockets whose server is silent do not keep others from their replies within a turn', async () => {
    const { port, echo } = await startEcho();
    const silent = await serve('127.0.0.1');
    let received = 0;
    const ports = [...Array<number>(40).fill(silent.port), ...Array<number>(20).fill(port)];
    const events = { onMessage: () => void received++, onError: assert.fail };
    const sockets = ports.map((each) => connect({ address: '127.0.0.1', port: each }, events));
    for (const socket of sockets) socket.send(Buffer.from('question'));
    const endMs = performance.now() + 5_000;
    while (received < 20 && performance.now() < endMs) exchangeNow();
    assert.equal(received, 20);
    for (const socket of sockets) socket.close();
    silent.socket.close();
    echo.kill();
  });

  it('reports within a turn that no server listens', () => {
    const errors: string[] = [];
    const onError = (...what: string[]): void => void errors.push(...what);
    const socket = connect({ address: '127.0.0.1', port: 1 }, { onMessage: unheard, onError });
    socket.send(Buffer.from('question'));
    const endMs = performance.now() + 5_000;
    while (errors.length === 0 && performance.now() < endMs) exchangeNow();
    assert.deepEqual(errors, ['ECONNREFUSED', 'wait']);
    socket.close();
  });

  it('reports that no server listens, and nothing more once it is closed', async () => {
    const closed = await serve('127.0.0.1');
    closed.socket.close();
    const errors: string[] = [];
    const socket = connect(
      { address: '127.0.0.1', port: closed.port },
      {
        onMessage: unheard,
        onError(errno) {
          errors.push(errno);
          socket.close();
        },
      },
    );
    await eventually('refused', () => {
      socket.send(Buffer.from('question'));
      return errors.length > 0;
    });
    socket.close();
    socket.send(Buffer.from('question'));
    await new Promise(setImmediate);
    assert.deepEqual(errors, ['ECONNREFUSED']);
  });

  it('reports later that there is no such address', async () => {
    const errors: string[] = [];
    const events = {
      onMessage: unheard,
      onError: (...what: string[]) => void errors.push(...what),
    };
    const socket = connect({ address: 'nowhere', port: 53 }, events);
    socket.send(Buffer.from('question'));
    assert.deepEqual(errors, []);
    await eventually('told', () => errors.length > 0);
    assert.deepEqual(errors, ['EINVAL', 'connect']);
    socket.close();
  });

  it('delivers a datagram longer than any reply as an empty one', async () => {
    const server = await serve('127.0.0.1');
    server.socket.on('message', (_, from) => server.socket.send(Buffer.alloc(5_000), from.port));
    const lengths: number[] = [];
    const onMessage = ({ length }: Buffer): void => void lengths.push(length);
    const socket = connect(
      { address: '127.0.0.1', port: server.port },
      { onMessage, onError: assert.fail },
    );
    socket.send(Buffer.from('question'));
    await eventually('answered', () => lengths.length > 0);
    assert.deepEqual(lengths, [0]);
    socket.close();
    server.socket.close();
  });
}

const addon = loadAddon();
if (addon instanceof Error) {
  it('the addon is compiled wherever there is a compiler', () => {
    assert.notEqual(spawnSync('cc', ['--version']).status, 0, addon.message);
  });
} else {
  cases(connectedOpener(addon));
}
