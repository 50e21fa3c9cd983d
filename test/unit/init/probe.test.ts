import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { describe, it } from 'node:test';
import { systemClock } from '../../../agent/base/clock.ts';
import { probeQuery, udpProbe } from '../../../init/probe.ts';

describe('probe', () => {
  /** Binds a server that sends back what `answer` makes of each query; resolves to its port and an end. */
  async function server(answer: (query: Buffer) => Buffer): Promise<[number, () => void]> {
    const socket = createSocket('udp4');
    socket.on('message', (query, from) => socket.send(answer(query), from.port, from.address));
    await new Promise<void>((resolve) => {
      socket.bind(0, '127.0.0.1', resolve);
    });
    return [socket.address().port, () => void socket.close()];
  }

  async function ask(answer: (query: Buffer) => Buffer): Promise<boolean> {
    const [port, close] = await server(answer);
    try {
      return await udpProbe(systemClock)('127.0.0.1', port);
    } finally {
      close();
    }
  }

  const reply = (query: Buffer): Buffer => {
    query[2] = 0x90;
    return query;
  };

  it('is a STATUS query with one question, 17 octets', () => {
    assert.deepEqual(
      [...probeQuery(0xabcd)],
      [0xab, 0xcd, 0x10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1],
    );
  });

  it('any response with its ID counts', async () => {
    assert.equal(await ask(reply), true);
    assert.equal(await ask((query) => reply(query).subarray(0, 12)), true);
  });

  it('an echo, a foreign ID or a stump do not', async () => {
    const wrong = (query: Buffer): Buffer => {
      query[0] = (query[0] as number) ^ 1;
      return reply(query);
    };
    const answers = [
      (query: Buffer) => query,
      wrong,
      (query: Buffer) => reply(query).subarray(0, 11),
    ];
    assert.deepEqual(await Promise.all(answers.map(ask)), [false, false, false]);
  });

  it('a closed port and an unreachable address are a plain no', async () => {
    const [port, close] = await server(reply);
    close();
    assert.equal(await udpProbe(systemClock)('127.0.0.1', port), false);
    assert.equal(await udpProbe(systemClock)('255.255.255.255', 53), false);
  });
});
