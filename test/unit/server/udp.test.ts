import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { loadAddon } from '../../../agent/server/addon.ts';
import { TcpScheduler } from '../../../agent/server/tcp/scheduler.ts';
import { batchOpener } from '../../../agent/server/udp/batch.ts';
import { openDgram } from '../../../agent/server/udp/dgram.ts';
import { eventually } from '../../support/netns/netns.ts';
import { udpContract } from '../../support/server/udp-contract.ts';

const SERVER = new URL('../../../agent/server/', import.meta.url).href;
/** A program that opens a socket of the addon, prints its port and runs on. */
const OPENER = `
const { loadAddon } = await import('${SERVER}addon.ts');
const { batchOpener } = await import('${SERVER}udp/batch.ts');
const sink = { batchStart() {},
        batchEnd() {}, datagram: (t, s, wire, length, out) => wire.copy(out, 0, 0, length) };
const open = (port) => batchOpener(loadAddon())({
  endpoint: { address: '127.0.0.1', port }, receiveBufferBytes: 65536, sink,
  receiveDrops: { value: 0 }, onError() {},
});
`;

udpContract('dgram', openDgram);

const addon = loadAddon();
if (addon instanceof Error) {
  it('the addon is compiled wherever there is a compiler', () => {
    assert.notEqual(spawnSync('cc', ['--version']).status, 0, addon.message);
  });
} else {
  const open = batchOpener(addon);
  udpContract('batch', open);

  it('batch: counts what the kernel dropped while the agent did not read, across sockets', async () => {
    const receiveDrops = { value: 0 };
    for (const lives of [1, 2]) {
      let handled = 0;
      const datagram = (): number => {
        handled++;
        return 0;
      };
      const sink = { batchStart() {}, batchEnd() {}, datagram };
      const endpoint = { address: '127.0.0.1', port: 0 };
      const options = { endpoint, receiveBufferBytes: 8_192, sink, receiveDrops };
      const transport = await open({ ...options, onError: assert.ifError });
      const flood = `const { createSocket } = require('node:dgram'); const s = createSocket('udp4');
        let left = 2000; for (let i = left; i > 0; i--) s.send(Buffer.alloc(1000), ${transport.endpoint.port}, '127.0.0.1',
        () => { if (--left === 0) s.close(); });`;
      // Synchronously: this process does not read meanwhile.
      assert.equal(spawnSync(process.execPath, ['-e', flood], { timeout: 20_000 }).status, 0);
      const one = createSocket('udp4');
      await eventually('the kernel reports', () => {
        one.send(Buffer.alloc(1), transport.endpoint.port, '127.0.0.1');
        return receiveDrops.value >= lives * 1_000;
      });
      one.close();
      assert.ok(handled < 1_000);
      await transport.close();
    }
  });

  it('batch: answers what has arrived between two events of TCP connections, before the next poll', async () => {
    const scheduler = new TcpScheduler();
    let handled = 0;
    const transport = await open({
      endpoint: { address: '127.0.0.1', port: 0 },
      receiveBufferBytes: 65_536,
      receiveDrops: { value: 0 },
      onError: assert.ifError,
      sink: {
        batchStart() {},
        batchEnd() {},
        datagram(self) {
          handled++;
          self.exchangeNow();
          return 0;
        },
      },
    });
    scheduler.remember(transport);
    // Synchronously: the datagrams have arrived, and no poll reports them before the events.
    const sent = `const s = require('node:dgram').createSocket('udp4');
      let left = 70; for (let i = left; i > 0; i--) s.send(Buffer.alloc(20), ${transport.endpoint.port}, '127.0.0.1',
      () => { if (--left === 0) s.close(); });`;
    assert.equal(spawnSync(process.execPath, ['-e', sent], { timeout: 20_000 }).status, 0);
    const after = (events: number): number => {
      for (let i = 0; i < events; i++) scheduler.event();
      return handled;
    };
    assert.deepEqual([after(7), after(1), after(8)], [0, 64, 70]);
    scheduler.forget(transport);
    await transport.close();
    transport.exchangeNow();
  });

  it('batch: a process exits while sockets are open, closing or just closed', () => {
    const program = `${OPENER}
      const kept = await open(0); const closing = await open(0); const closed = await open(0);
      await closed.close(); void closing.close(); process.exit(7);`;
    const args = ['--input-type=module', '-e', program];
    const { status, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.equal(status, 7, stderr);
  });

  it('batch: a port that needs a privilege fails with EACCES', () => {
    const program = `${OPENER}
      await open(53).then(() => process.exit(1), ({ errno }) => process.exit(errno === 'EACCES' ? 0 : 2));`;
    const node = [process.execPath, '--input-type=module', '-e', program] as const;
    const unprivileged = ['--inh-caps=-all', '--bounding-set=-all', '--reuid=65534'];
    const [command, ...args] =
      process.getuid?.() === 0 ? (['setpriv', ...unprivileged, ...node] as const) : node;
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 });
    // Containers may allow every port to every user.
    const firstFree = readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8');
    assert.equal(status, Number(firstFree) > 53 ? 0 : 1, stderr);
  });

  it('batch: a worker ends while sockets are open, closing or just closed', async () => {
    const program = `${OPENER}
      const { parentPort } = await import('node:worker_threads');
      const kept = await open(0); const closing = await open(0); const closed = await open(0);
      await closed.close(); void closing.close();
      parentPort.postMessage(kept.endpoint.port);`;
    for (let i = 0; i < 5; i++) {
      const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
      const worker = new Worker(url);
      await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      await worker.terminate();
    }
  });
}
