import { strict as assert } from 'node:assert';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import type { Client } from '../../../agent/query/query.ts';
import { loadAddon } from '../../../agent/server/addon.ts';
import { batchOpener } from '../../../agent/server/udp/batch.ts';
import type { UdpTransport } from '../../../agent/server/udp/contract.ts';
import { eventually } from '../../support/netns/netns.ts';

type Handle = (self: UdpTransport, slot: number, wire: Buffer, out: Buffer) => number;

const addon = loadAddon();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Opened {
  readonly port: number;
  readonly errors: Error[];
  readonly asked: (string | undefined)[];
  readonly clients: Client[];
  readonly lengths: number[];
  readonly transport: UdpTransport;
}

async function opened(address: string, handle: Handle, port = 0): Promise<Opened> {
  assert.ok(!(addon instanceof Error));
  const seen = { errors: [], asked: [], clients: [], lengths: [] } as Omit<
    { -readonly [K in keyof Opened]: Opened[K] },
    'port' | 'transport'
  >;
  const transport = await batchOpener(addon)({
    endpoint: { address, port },
    receiveBufferBytes: 1 << 20,
    receiveDrops: { value: 0 },
    onError: (error) => seen.errors.push(error),
    sink: {
      batchStart: () => undefined,
      batchEnd: () => undefined,
      datagram(self, slot, wire, length, out) {
        const client = self.clientOf(slot);
        seen.clients.push(client);
        seen.asked.push(client.asked);
        seen.lengths.push(length);
        return length === 0 ? 0 : handle(self, slot, wire.subarray(0, length), out);
      },
    },
  });
  closers.push(() => transport.close());
  return { ...seen, port: transport.endpoint.port, transport };
}

const echo: Handle = (_self, _slot, wire, out) => wire.copy(out);

async function asker(isV6 = false): Promise<{ socket: Socket; from: RemoteInfo[] }> {
  const socket = createSocket(isV6 ? 'udp6' : 'udp4');
  const from: RemoteInfo[] = [];
  socket.on('message', (_, sender) => from.push(sender));
  socket.bind(0);
  await once(socket, 'listening');
  socket.setRecvBufferSize(1 << 21);
  closers.push(() => socket.close());
  return { socket, from };
}

/** Every address of 127.0.0.0/8 is local by route, and only 127.0.0.1 is on an interface. */
const ADDRESSES = ['127.0.0.1', '127.0.0.10', '127.3.2.1'];

if (!(addon instanceof Error))
  describe('a socket for every address', () => {
    it('answers from the address that the client asked, and reports it', async () => {
      const { port, asked } = await opened('0.0.0.0', echo);
      const { socket, from } = await asker();
      for (const [i, address] of ADDRESSES.entries()) {
        socket.send('hello', port, address);
        await eventually('an answer', () => from.length === i + 1);
        assert.deepEqual([from[i]?.address, asked[i]], [address, address]);
      }
    });

    it('does so for IPv6, beside the socket for IPv4 on the same port', async () => {
      const { port } = await opened('0.0.0.0', echo);
      const { asked, clients } = await opened('::', echo, port);
      const { socket, from } = await asker(true);
      socket.send('hello', port, '::1');
      await eventually('an answer', () => from.length === 1);
      assert.deepEqual([from[0]?.address, ...asked], ['::1', '::1']);
      assert.deepEqual([clients[0]?.address, clients[0]?.family], ['::1', 6]);
      const v4 = await asker();
      v4.socket.send('hello', port, '127.0.0.10');
      await eventually('an answer over IPv4', () => v4.from.length === 1);
      assert.equal(asked.length, 1, 'not through the socket for IPv6');
    });

    it('does so in a batch of several addresses, for late answers and for long ones', async () => {
      const late: [UdpTransport, Client, Buffer][] = [];
      const { port } = await opened('0.0.0.0', (self, slot, wire, out) => {
        if (wire[0] === 1) late.push([self, self.clientOf(slot), Buffer.alloc(9_000, 1)]);
        return wire[0] === 1 ? 0 : wire.copy(out);
      });
      const { socket, from } = await asker();
      for (let i = 0; i < 60; i++)
        socket.send(Buffer.from([i % 2, i]), port, ADDRESSES[i % 3] as string);
      await eventually('30 at once, 30 late', () => from.length + late.length === 60);
      for (const [self, client, bytes] of late.toReversed()) self.send(bytes, client);
      await eventually('60 answers', () => from.length === 60);
      for (const address of ADDRESSES) {
        const sizes = from.filter((one) => one.address === address).map(({ size }) => size);
        assert.deepEqual([...new Set(sizes)].sort(), [2, 9_000], address);
        assert.equal(sizes.length, 20);
      }
    });

    it('leaves an address to a socket bound to it, and is taken over by the next wildcard socket', async () => {
      const old = await opened('0.0.0.0', echo);
      const own = await opened('127.0.0.10', echo, old.port);
      const next = await opened('0.0.0.0', echo, old.port);
      const { socket, from } = await asker();
      for (const address of ['127.0.0.10', '127.0.0.11']) socket.send('hello', old.port, address);
      await eventually('two answers', () => from.length === 2);
      const counts = [old, own, next].map(({ clients }) => clients.length);
      assert.deepEqual(counts, [0, 1, 1]);
      assert.deepEqual(own.asked, [undefined], 'a socket of one address needs no destination');
    });

    for (const [leaving, staying] of [
      ['127.0.0.10', '0.0.0.0'],
      ['0.0.0.0', '127.0.0.10'],
      ['::1', '::'],
      ['127.0.0.10', '127.0.0.10'],
    ] as const)
      it(`loses nothing that comes while ${leaving} closes beside ${staying}`, async () => {
        const isV6 = leaving === '::1';
        const old = await opened(leaving, echo);
        const next = await opened(staying, echo, old.port);
        const { socket, from } = await asker(isV6);
        socket.connect(old.port, isV6 ? '::1' : '127.0.0.10');
        await once(socket, 'connect');
        // Sent at once by a connected socket: before, between the last look at the queue and the close, after it.
        socket.send('before');
        const closed = old.transport.close();
        socket.send('between');
        await closed;
        socket.send('after');
        await eventually('three answers', () => from.length === 3);
        assert.ok(next.clients.length >= 2);
      });

    it('does not answer broadcast or multicast', async () => {
      const { port, lengths } = await opened('0.0.0.0', echo);
      const { socket, from } = await asker();
      socket.setBroadcast(true);
      socket.send('hello', port, '127.255.255.255');
      socket.send('hello', port, '127.0.0.1');
      await eventually('an answer', () => from.length === 1);
      assert.equal(from[0]?.address, '127.0.0.1');
      assert.deepEqual(lengths, [0, 5]);
    });
  });
