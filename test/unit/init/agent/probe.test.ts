import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { type Clock, systemClock } from '../../../../agent/base/clock.ts';
import {
  isRedirectedToAgent,
  makeProbe,
  probeAll,
  probeQuery,
  textIn,
} from '../../../../init/agent/probe.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

/** Not the default ports: an init on this machine may use those. */
const PORTS = { first: 20_761, last: 20_764 };

const QUESTION = [8, ...Buffer.from('instance'), 6, ...Buffer.from('nodens'), 0, 0, 16, 0, 3];

function answer(query: Uint8Array, text: string, owner: readonly number[] = [0xc0, 12]): Buffer {
  const head = [query[0] ?? 0, query[1] ?? 0, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0];
  const data = [text.length, ...Buffer.from(text)];
  return Buffer.from([
    ...head,
    ...QUESTION,
    ...owner,
    0,
    16,
    0,
    3,
    0,
    0,
    0,
    0,
    0,
    data.length,
    ...data,
  ]);
}

describe('probe messages', () => {
  it('a probe asks for instance.nodens. CH TXT', () => {
    const header = [0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert.deepEqual([...probeQuery(0xabcd)], [...header, ...QUESTION]);
  });

  it('an answer has a TXT record, whose name is a pointer or written out', () => {
    const query = probeQuery(7);
    assert.equal(textIn(answer(query, 'a1b2'), 7), 'a1b2');
    assert.equal(textIn(answer(query, 'a1b2', [1, 0x78, 0]), 7), 'a1b2');
  });

  it('no other message is an answer', () => {
    const good = answer(probeQuery(7), 'nonce');
    const changed = (at: number, value: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes[at] = value;
      return bytes;
    };
    assert.equal(textIn(good, 8), undefined, 'ID');
    assert.equal(textIn(changed(2, 0x04), 7), undefined, 'a query');
    assert.equal(textIn(changed(3, 5), 7), undefined, 'REFUSED');
    assert.equal(textIn(changed(7, 0), 7), undefined, 'no record');
    assert.equal(textIn(changed(good.length - 15, 1), 7), undefined, 'not TXT');
    for (let length = 0; length < good.length; length++)
      assert.equal(textIn(good.subarray(0, length), 7), undefined, `cut at ${length}`);
  });
});

describe('probing', () => {
  /** Listens over both transports on the same port; TCP answers come in two pieces. */
  async function server(
    text: string,
  ): Promise<{ port: number; froms: number[]; close: () => void }> {
    const froms: number[] = [];
    const sockets: Socket[] = [];
    const tcp = createServer((socket) => {
      sockets.push(socket);
      froms.push(socket.remotePort ?? 0);
      socket.on('error', () => undefined);
      socket.on('data', (frame) => {
        const bytes = answer(frame.subarray(2), text);
        socket.write(Buffer.from([0]));
        setImmediate(() => socket.write(Buffer.concat([Buffer.from([bytes.length]), bytes])));
      });
    });
    await new Promise<void>((resolve) => {
      tcp.listen(0, '127.0.0.1', resolve);
    });
    const { port } = tcp.address() as { port: number };
    const udp = createSocket('udp4');
    udp.on('message', (query, from) => {
      froms.push(from.port);
      udp.send(answer(query, text), from.port, from.address);
    });
    await new Promise<void>((resolve) => {
      udp.bind(port, '127.0.0.1', resolve);
    });
    const close = (): void => {
      udp.close();
      tcp.close();
      for (const socket of sockets) socket.destroy();
    };
    return { port, froms, close };
  }

  it('every round asks over both transports from the reserved ports', async () => {
    const { port, froms, close } = await server('me');
    const probe = makeProbe(systemClock, PORTS);
    for (let i = 0; i < 10; i++) {
      const round = await probeAll(probe, ['127.0.0.1'], port);
      assert.deepEqual(round, { silent: [], isRefused: true, names: new Set(['me']) });
    }
    close();
    assert.equal(froms.length, 20);
    assert.ok(froms.every((from) => from >= PORTS.first && from <= PORTS.last));
  });

  it('a probe takes the next port if another init uses one', async () => {
    const { port, froms, close } = await server('me');
    const busy = await Promise.all(
      [PORTS.first, PORTS.first + 1].map(async (taken) => {
        const socket = createSocket('udp4');
        await new Promise<void>((resolve) => {
          socket.bind(taken, '127.0.0.1', resolve);
        });
        return socket;
      }),
    );
    const ports = { first: PORTS.first, last: PORTS.first + 2 };
    assert.deepEqual(await makeProbe(systemClock, ports)('udp', '127.0.0.1', port), { text: 'me' });
    assert.deepEqual(froms, [PORTS.first + 2]);
    for (const socket of busy) socket.close();
    close();
  });

  it('a round is refused where no server listens', async () => {
    const { port, close } = await server('me');
    close();
    const round = await probeAll(makeProbe(systemClock, PORTS), ['127.0.0.1'], port);
    assert.deepEqual(round.silent, ['udp 127.0.0.1', 'tcp 127.0.0.1']);
    assert.equal(round.isRefused, true);
  });

  it('an address that no host has is silent, and not refused', async () => {
    const { silent, isRefused } = await probeAll(makeProbe(systemClock, PORTS), ['192.0.2.1'], 53);
    assert.equal(silent.length, 2);
    assert.equal(isRefused, false);
  });
});

describe('a query that rules must redirect to the agent', () => {
  /** Asks a name server that answers a query with the bytes that `reply` returns. */
  async function askOf(
    reply: (query: Buffer) => Buffer | undefined,
    clock: Clock = systemClock,
  ): Promise<boolean> {
    const server = createSocket('udp4');
    server.on('message', (query, from) => {
      const bytes = reply(query);
      if (bytes !== undefined) server.send(bytes, from.port, from.address);
    });
    await new Promise<void>((resolve) => {
      server.bind(0, '127.0.0.1', resolve);
    });
    try {
      return await isRedirectedToAgent(clock, '127.0.0.1', server.address().port);
    } finally {
      server.close();
    }
  }

  it('has reached the agent only if the reply has a nonce', async () => {
    assert.equal(await askOf((query) => answer(query, 'nonce')), true);
    const refused = (query: Buffer): Buffer => {
      const bytes = answer(query, 'nonce');
      bytes[3] = 5;
      return bytes;
    };
    assert.equal(await askOf(refused), false);
    // The result does not wait for time: this clock stands still.
    assert.equal(await askOf(refused, new FakeClock()), false);
    assert.equal(await askOf(() => undefined), false);
  });

  it('has not reached the agent where no server listens', async () => {
    assert.equal(await isRedirectedToAgent(systemClock, '127.0.0.1', 9), false);
  });
});
