import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, it } from 'node:test';
import dnsPacket, { type Packet } from 'dns-packet';
import { systemClock } from '../../../../agent/base/clock.ts';
import { makeAsk, NoAnswerError } from '../../../../init/endpoints/ask.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

type Script = (query: Packet) => Packet | 'hang up' | 'nothing';

const A_RECORD = { type: 'A', name: 'a.test', ttl: 5, data: '10.2.0.2' } as const;

/** A server on a free port of loopback; resolves to its port and how often it was asked. */
async function server(
  script: Script,
): Promise<{ port: number; asked: () => number; end: () => void }> {
  let asked = 0;
  const listening: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (frame) => {
      asked++;
      const query = dnsPacket.streamDecode(frame);
      const answer = script(query);
      if (answer === 'nothing') return;
      if (answer === 'hang up') return void socket.end();
      const bytes = dnsPacket.streamEncode({ ...query, type: 'response', ...answer });
      // In two segments, as a network may deliver it.
      socket.write(bytes.subarray(0, 1), () => socket.write(bytes.subarray(1)));
    });
  }).listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  return { port, asked: () => asked, end: () => void listening.close().unref() };
}

const at = ({ port }: { port: number }) => ({ address: '127.0.0.1', port });

describe('asking the DNS of the cluster', () => {
  it('takes the first good answer, and asks that server first the next time', async () => {
    const refusing = await server(() => ({ flags: 5 }));
    const leaving = await server(() => 'hang up');
    const good = await server(() => ({ answers: [A_RECORD] }));
    const ask = makeAsk(systemClock, [refusing, leaving, good].map(at));
    for (let i = 0; i < 2; i++) {
      const { records } = await ask('a.test', 'A');
      const data = { address: '10.2.0.2' };
      assert.deepEqual(records, [{ section: 'answer', name: 'a.test', ttlSeconds: 5, data }]);
    }
    assert.deepEqual([refusing.asked(), leaving.asked(), good.asked()], [1, 1, 2]);
    for (const each of [refusing, leaving, good]) each.end();
  });

  it('takes NXDOMAIN for an answer', async () => {
    const denying = await server(() => ({ flags: 3 }));
    assert.equal((await makeAsk(systemClock, [at(denying)])('a.test', 'A')).rcode, 3);
    denying.end();
  });

  it('asks the next server if an answer is truncated', async () => {
    const cut = await server(() => ({ flags: 0x0200, answers: [A_RECORD] }));
    const good = await server(() => ({ answers: [A_RECORD] }));
    await makeAsk(systemClock, [cut, good].map(at))('a.test', 'A');
    assert.deepEqual([cut.asked(), good.asked()], [1, 1]);
    for (const each of [cut, good]) each.end();
  });

  it('gives up after a second if a server is silent', async () => {
    const silent = await server(() => 'nothing');
    const clock = new FakeClock();
    const answer = makeAsk(clock, [at(silent)])('a.test', 'A');
    const refused = assert.rejects(answer, /a\.test: no answer from 127\.0\.0\.1/);
    await clock.advance(1_000);
    await refused;
    silent.end();
  });

  it('is an error if no server is known', async () => {
    await assert.rejects(makeAsk(systemClock, [])('a.test', 'A'), NoAnswerError);
    await assert.rejects(makeAsk(systemClock, [])('a.test', 'A'), /no server is known/);
  });
});
