import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { decode, encode } from 'dns-packet';
import { systemClock } from '../../../../agent/base/clock.ts';
import { CLASS, TYPE } from '../../../../agent/dns/iana.ts';
import { makeAsk } from '../../../../init/doctor/ask.ts';

describe('queries of the doctor', () => {
  const question = { name: 'instance.nodens.', type: TYPE.TXT, class: CLASS.CH };
  const answerTo = (query: Buffer): Buffer => {
    const { id, questions } = decode(query);
    const [asked] = questions ?? [];
    const answer = {
      type: 'TXT' as const,
      class: 'CH' as const,
      name: asked?.name ?? '',
      data: 'a1b2',
    };
    const wire = encode({
      type: 'response',
      ...(id === undefined ? {} : { id }),
      questions: questions ?? [],
    });
    // dns-packet does not compress; servers do.
    const record = encode({ type: 'response', answers: [{ ...answer, name: '.' }] }).subarray(13);
    wire.writeUInt16BE(1, 6);
    return Buffer.concat([wire, Buffer.from([0xc0, 12]), record]);
  };

  it('return text, refusals and closed connections, over UDP and TCP', async () => {
    const ask = makeAsk(systemClock);
    const udp = createSocket('udp4');
    udp.on('message', (query, { port, address }) => {
      udp.send(Buffer.from('garbage'), port, address);
      udp.send(answerTo(query), port, address);
    });
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    const over = await ask('udp', '127.0.0.1', udp.address().port, question);
    assert.equal('text' in over && over.text, 'a1b2');
    udp.close();

    let isRude = false;
    const tcp = createServer((socket) => {
      socket.on('data', (framed) => {
        if (isRude) return void socket.end();
        const answer = answerTo(framed.subarray(2));
        socket.write(Buffer.from([answer.length >> 8, answer.length & 0xff]));
        socket.write(answer);
      });
    });
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const { port } = tcp.address() as AddressInfo;
    const polite = await ask('tcp', '127.0.0.1', port, question);
    assert.equal('text' in polite && polite.text, 'a1b2');
    isRude = true;
    assert.deepEqual(await ask('tcp', '127.0.0.1', port, question), { error: 'closed unanswered' });
    tcp.close();
    await once(tcp, 'close');
    for (const transport of ['udp', 'tcp'] as const)
      assert.deepEqual(await ask(transport, '127.0.0.1', port, question), {
        error: 'ECONNREFUSED',
      });
  });
});
