/** The contract of UDP transports: one suite, run by each of them. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { readdirSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import { type Client, clientAt } from '../../../agent/query/query.ts';
import type { DatagramSink, OpenUdp, UdpTransport } from '../../../agent/server/udp/contract.ts';
import { settle } from '../fake-clock.ts';
import { eventually } from '../netns/netns.ts';

type Handle = (transport: UdpTransport, slot: number, datagram: Buffer, out: Buffer) => number;

interface Opened {
  readonly transport: UdpTransport;
  readonly errors: Error[];
  readonly drops: { value: number };
}

const cleanups: (() => Promise<void>)[] = [];

const echo: Handle = (_transport, _slot, datagram, out) => datagram.copy(out);

function sinkOf(handle: Handle): DatagramSink {
  return {
    batchStart: () => undefined,
    batchEnd: () => undefined,
    datagram: (transport, slot, wire, length, out) =>
      handle(transport, slot, wire.subarray(0, length), out),
  };
}

async function opened(
  open: OpenUdp,
  handle: Handle,
  { address = '127.0.0.1', port = 0, receiveBufferBytes = 1 << 20 } = {},
): Promise<Opened> {
  const errors: Error[] = [];
  const receiveDrops = { value: 0 };
  const transport = await open({
    endpoint: { address, port },
    receiveBufferBytes,
    sink: sinkOf(handle),
    receiveDrops,
    onError: (error) => errors.push(error),
  });
  cleanups.push(() => transport.close());
  return { transport, errors, drops: receiveDrops };
}

interface UdpClient {
  readonly socket: Socket;
  readonly received: Buffer[];
  send(bytes: Buffer, port: number): void;
}

async function client(address = '127.0.0.1'): Promise<UdpClient> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const received: Buffer[] = [];
  socket.on('message', (message) => received.push(message));
  await new Promise<void>((resolve) => {
    socket.bind(0, address, resolve);
  });
  socket.setRecvBufferSize(1 << 21);
  cleanups.push(() => new Promise((resolve) => void socket.close(resolve)));
  return { socket, received, send: (bytes, port) => socket.send(bytes, port, address) };
}

const numbered = (number: number): Buffer => Buffer.from(`datagram ${number}`);

/** Sends from another process while this one does not read. */
function floodFrom(count: number, port: number): void {
  const program = `const { createSocket } = require('node:dgram'); const s = createSocket('udp4');
    let left = ${count}; for (let i = left; i > 0; i--) s.send('hello', ${port}, '127.0.0.1',
    () => { if (--left === 0) s.close(); });`;
  assert.equal(spawnSync(process.execPath, ['-e', program], { timeout: 20_000 }).status, 0);
}

export function udpContract(name: string, open: OpenUdp): void {
  describe(`${name}: datagrams`, () => {
    afterEach(cleanUp);

    for (const address of ['127.0.0.1', '::1']) {
      it(`are answered to their sender (${address})`, async () => {
        const seen: Client[] = [];
        const { transport } = await opened(
          open,
          (self, slot, datagram, out) => {
            seen.push(self.clientOf(slot));
            return echo(self, slot, datagram, out);
          },
          { address },
        );
        const asker = await client(address);
        asker.send(Buffer.from('hello'), transport.endpoint.port);
        await eventually('echo', () => asker.received.length === 1);
        assert.equal(String(asker.received[0]), 'hello');
        const { port } = asker.socket.address();
        const [{ address: from, port: fromPort, family }] = seen as [Client];
        assert.deepEqual([from, fromPort, family], [address, port, address === '::1' ? 6 : 4]);
        assert.deepEqual(transport.endpoint.address, address);
      });
    }

    it('arrive several hundred at once, and each gets its own reply', async () => {
      const { transport, errors } = await opened(open, echo);
      const asker = await client();
      for (let i = 0; i < 600; i++) asker.send(numbered(i), transport.endpoint.port);
      await eventually('600 echoes', () => asker.received.length === 600);
      assert.equal(new Set(asker.received.map(String)).size, 600);
      assert.deepEqual(errors, []);
    });

    it('may be answered later, long after their batch', async () => {
      const late: [Client, Buffer][] = [];
      const { transport } = await opened(open, (self, slot, datagram) => {
        late.push([self.clientOf(slot), Buffer.from(datagram)]);
        return 0;
      });
      const askers = await Promise.all([client(), client()]);
      for (let i = 0; i < 100; i++) askers[i % 2]?.send(numbered(i), transport.endpoint.port);
      await eventually('100 asked', () => late.length === 100);
      for (const [to, bytes] of late.toReversed()) transport.send(bytes, to);
      await eventually('answers', () => askers.every(({ received }) => received.length === 50));
      for (const [parity, { received }] of askers.entries()) {
        assert.ok(received.every((text) => Number(String(text).slice(9)) % 2 === parity));
      }
    });

    it('may get a reply of nearly 64 KiB; a reply too large for a datagram is an error, not a throw', async () => {
      const { transport, errors } = await opened(open, (self, slot, datagram) => {
        self.send(Buffer.alloc(Number(String(datagram)), 7), self.clientOf(slot));
        return 0;
      });
      const asker = await client();
      asker.send(Buffer.from('65507'), transport.endpoint.port);
      await eventually('large reply', () => asker.received.length === 1);
      assert.equal(asker.received[0]?.length, 65_507);
      asker.send(Buffer.from('65508'), transport.endpoint.port);
      asker.send(Buffer.from('1'), transport.endpoint.port);
      await eventually('the next one', () => asker.received.length === 2);
      asker.send(Buffer.from('1'), transport.endpoint.port);
      await eventually('an error', () => errors.length === 1);
    });

    it('without bytes, or longer than any query, do not disturb the transport', async () => {
      const lengths: number[] = [];
      const { transport } = await opened(open, (self, slot, datagram, out) => {
        lengths.push(datagram.length);
        return echo(self, slot, datagram.subarray(0, 100), out);
      });
      const asker = await client();
      for (const bytes of [0, 65_507, 1, 4_097, 4_096]) {
        asker.send(Buffer.alloc(bytes, 1), transport.endpoint.port);
      }
      await eventually('all five', () => lengths.length === 5);
      const [none, , one, , slot] = lengths;
      assert.deepEqual([none, one, slot], [0, 1, 4_096]);
      assert.ok([65_507, 0].includes(lengths[1] as number));
    });

    it('whose handler throws do not affect other queries', async () => {
      const { transport, errors } = await opened(open, (self, slot, datagram, out) => {
        if (String(datagram) === 'datagram 50') throw new Error('handler');
        return echo(self, slot, datagram, out);
      });
      const asker = await client();
      for (let i = 0; i < 100; i++) asker.send(numbered(i), transport.endpoint.port);
      await eventually('99 echoes', () => asker.received.length === 99);
      assert.deepEqual(
        errors.map(({ message }) => message),
        ['handler'],
      );
    });

    it('that the receiver does not read do not stop the transport', async () => {
      const big = Buffer.alloc(30_000, 9);
      const { transport } = await opened(open, (self, slot, datagram, out) => {
        if (datagram[0] !== 0x21) return echo(self, slot, datagram, out);
        for (let i = 0; i < 100; i++) self.send(big, self.clientOf(slot));
        return 0;
      });
      const [deaf, asker] = await Promise.all([client(), client()]);
      deaf.socket.setRecvBufferSize(4_096);
      for (let i = 0; i < 20; i++) deaf.send(Buffer.from('!'), transport.endpoint.port);
      await settle();
      asker.send(Buffer.from('hello'), transport.endpoint.port);
      await eventually('echo', () => asker.received.length === 1);
    });
  });

  describe(`${name}: lifetime`, () => {
    afterEach(cleanUp);

    it('closes under traffic, also from inside the handler; no datagram is handled afterwards', async () => {
      let handled = 0;
      let isClosed = false;
      const { transport } = await opened(open, (self, slot, datagram, out) => {
        assert.equal(isClosed, false, 'handled after close');
        if (++handled === 40) {
          void self.close().then(() => {
            isClosed = true;
          });
        }
        return echo(self, slot, datagram, out);
      });
      const asker = await client();
      for (let i = 0; i < 200; i++) asker.send(numbered(i), transport.endpoint.port);
      await eventually('closed', () => isClosed);
      assert.ok(handled >= 40);
      transport.send(Buffer.from('late'), clientAt('127.0.0.1', 9));
      await transport.close();
    });

    it('answers all received queries before it closes', async () => {
      let handled = 0;
      const { transport } = await opened(
        open,
        (self, slot, datagram, out) => {
          handled++;
          return echo(self, slot, datagram, out);
        },
        { receiveBufferBytes: 1 << 20 },
      );
      const count = 150;
      floodFrom(count, transport.endpoint.port);
      assert.equal(handled, 0);
      await transport.close();
      assert.equal(handled, count);
    });

    it('fails to open with the errno', async () => {
      const bind = (address: string, port = 0) => opened(open, echo, { address, port });
      const fault = { name: 'NetworkError', phase: 'bind' };
      await assert.rejects(bind('192.0.2.1'), { ...fault, errno: 'EADDRNOTAVAIL' });
      const holder = await client();
      const { port } = holder.socket.address();
      await assert.rejects(bind('127.0.0.1', port), { ...fault, errno: 'EADDRINUSE' });
    });

    it('shares its address with the next one while it is still open', async () => {
      const old = await opened(open, echo);
      const { port } = old.transport.endpoint;
      let handled = 0;
      await opened(
        open,
        (self, slot, datagram, out) => {
          handled++;
          return echo(self, slot, datagram, out);
        },
        { port },
      );
      const asker = await client();
      asker.send(Buffer.from('hello'), port);
      await eventually('echo', () => asker.received.length === 1);
      assert.equal(handled, 1);
    });

    it('opens and closes a thousand times without a descriptor leak', async () => {
      const descriptors = (): number => readdirSync('/proc/self/fd').length;
      const before = descriptors();
      for (let i = 0; i < 1_000; i++) {
        const { transport } = await opened(open, echo);
        await transport.close();
        cleanups.length = 0;
      }
      assert.ok(descriptors() <= before, `${before} → ${descriptors()} descriptors`);
    });
  });
}

async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0)) await cleanup();
}
