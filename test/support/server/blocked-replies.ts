/**
 * Answers each of its own queries to 127.0.0.10 over a loopback so slow that the kernel does not send the answers at once.
 * Prints the source addresses of the answers, their number, and the number of lost ones.
 */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { loadAddon } from '../../../agent/server/addon.ts';
import { batchOpener } from '../../../agent/server/udp/batch.ts';

const ANSWER = Buffer.alloc(60_000, 7);
/** Together larger than a send buffer: some replies must wait. */
const COUNT = 12;

const addon = loadAddon();
if (addon instanceof Error) throw addon;
let lost = 0;
const [bound = ''] = process.argv.slice(2);
const isV6 = bound === '::';
const transport = await batchOpener(addon)({
  endpoint: { address: bound, port: 0 },
  receiveBufferBytes: 1 << 20,
  receiveDrops: { value: 0 },
  onError: () => {
    lost++;
  },
  sink: {
    batchStart: () => undefined,
    batchEnd: () => undefined,
    datagram(self, slot) {
      for (let i = 0; i < COUNT; i++) self.send(ANSWER, self.clientOf(slot));
      return 0;
    },
  },
});
const from = new Set<string>();
let came = 0;
const socket = createSocket(isV6 ? 'udp6' : 'udp4');
socket.on('message', (_, { address }: RemoteInfo) => {
  from.add(address);
  if (++came + lost < COUNT) return;
  process.stdout.write(`${[...from].join()} ${came} ${lost}\n`);
  process.exit(0);
});
socket.bind(0, () => {
  socket.setRecvBufferSize(1 << 22);
  socket.send('hello', transport.endpoint.port, isV6 ? 'fd00:1::77' : '127.0.0.10');
});
