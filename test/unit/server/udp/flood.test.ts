/** A client that sends more datagrams than the agent answers: the others do not wait behind it. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { loadAddon } from '../../../../agent/server/addon.ts';
import { batchOpener } from '../../../../agent/server/udp/batch.ts';
import type { UdpTransport } from '../../../../agent/server/udp/contract.ts';
import { eventually } from '../../../support/netns/netns.ts';

const FLOODER = '127.0.0.66';
const POD = '127.0.0.8';
/** More than a hit takes, so that batches are short. */
const SLOW_MS = 0.05;
/** The first batch is read before the agent knows that datagrams take long. */
const FIRST_BATCH = 64;
/** A batch takes a quarter of a millisecond. */
const NEXT_BATCH = 5;

/** Sends datagrams that hold their number, `counts` of them by each address in turn, and returns when all are sent. */
function send(port: number, counts: Readonly<Record<string, number>>): void {
  const program = `const { createSocket } = require('node:dgram'); const { once } = require('node:events');
    (async () => { for (const [address, count] of Object.entries(${JSON.stringify(counts)})) {
      const socket = createSocket('udp4'); socket.bind(0, address); await once(socket, 'listening');
      for (let i = 0; i < count; i++) { const bytes = Buffer.alloc(12); bytes.writeUInt32BE(i);
        await new Promise((sent) => socket.send(bytes, ${port}, '127.0.0.1', sent)); }
      socket.close(); } })();`;
  // Synchronously: this process does not read meanwhile.
  execFileSync(process.execPath, ['-e', program], { timeout: 30_000 });
}

interface Handled {
  readonly address: string;
  readonly number: number;
}

interface Flooded {
  /** Datagrams of each batch. */
  readonly batches: number[];
  readonly transport: UdpTransport;
  readonly handled: Handled[];
  readonly discarded: Map<string, number>;
}

async function opened(): Promise<Flooded> {
  const addon = loadAddon();
  if (addon instanceof Error) throw addon;
  const handled: Handled[] = [];
  const batches: number[] = [];
  const discarded = new Map<string, number>();
  const transport = await batchOpener(addon)({
    endpoint: { address: '127.0.0.1', port: 0 },
    receiveBufferBytes: 4 * 2 ** 20,
    receiveDrops: { value: 0 },
    onError: assert.ifError,
    onFlood: ({ address }, count) => discarded.set(address, (discarded.get(address) ?? 0) + count),
    sink: {
      batchStart() {
        batches.push(0);
      },
      batchEnd() {},
      datagram(self, slot, wire) {
        batches.push((batches.pop() ?? 0) + 1);
        handled.push({ address: self.clientOf(slot).address, number: wire.readUInt32BE(0) });
        for (const startMs = performance.now(); performance.now() - startMs < SLOW_MS; );
        return 0;
      },
    },
  });
  return { transport, handled, batches, discarded };
}

const isUsable = !(loadAddon() instanceof Error);

it('a client that floods has its turn as any other', { skip: !isUsable }, async () => {
  const { transport, handled, batches, discarded } = await opened();
  send(transport.endpoint.port, { [FLOODER]: 700, [POD]: 3 });
  await eventually('all are handled', () => handled.length === 703);
  const ofPod = handled.flatMap(({ address }, at) => (address === POD ? [at] : []));
  // One of each sender in turn.
  assert.ok((ofPod.at(-1) ?? 0) < FIRST_BATCH + 6, `handled as number ${ofPod.at(-1)}`);
  const [first, ...next] = batches;
  assert.equal(first, FIRST_BATCH);
  assert.ok(Math.max(...next) <= NEXT_BATCH, `batches of ${next}`);
  for (const one of [FLOODER, POD]) {
    const numbers = handled.filter(({ address }) => address === one).map(({ number }) => number);
    assert.deepEqual(numbers, [...numbers.keys()], 'in the order of arrival');
  }
  assert.equal(discarded.size, 0);
  await transport.close();
});

it('only a client that floods loses datagrams, and is named', { skip: !isUsable }, async () => {
  const { transport, handled, discarded } = await opened();
  send(transport.endpoint.port, { [FLOODER]: 3_000, [POD]: 20 });
  const lost = (): number => discarded.get(FLOODER) ?? 0;
  await eventually('all are accounted for', () => handled.length + lost() === 3_020);
  assert.ok(lost() > 1_000, `${lost()} discarded`);
  assert.equal(discarded.size, 1);
  assert.equal(handled.filter(({ address }) => address === POD).length, 20);
  await transport.close();
});

it('what waits is answered before the socket closes', { skip: !isUsable }, async () => {
  const { transport, handled } = await opened();
  send(transport.endpoint.port, { [FLOODER]: 600 });
  await eventually('some are handled', () => handled.length > FIRST_BATCH);
  const before = handled.length;
  assert.ok(before < 600);
  await transport.close();
  assert.equal(handled.length, 600);
});
