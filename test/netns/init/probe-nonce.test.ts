/** The agent tells its name to init's probes, and to no pod. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type AgentMessage,
  controlDecoder,
  encodeControl,
  type InitMessage,
} from '../../../agent/base/control.ts';
import {
  canMakeNetns,
  connectNetns,
  eventually,
  type Netns,
  sayLeftOut,
  withNetns,
} from '../../support/netns/netns.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const NODE_IP = '10.1.0.1';
const LOCAL_IP = '169.254.20.10';
const PORT = 5_353;
const PROBE_PORTS = { first: 20_253, last: 20_260 };
const STATUS: InitMessage = {
  ...{ type: 'status', state: 'waiting', backend: 'none', setupErrors: {} },
  probePorts: PROBE_PORTS,
};

/** Text of the answer to `instance.nodens.`, or its status. */
async function identity(space: Netns, address: string, ...more: string[]): Promise<string> {
  const how = ['-p', String(PORT), '+tries=1', '+time=3', ...more];
  const question = ['instance.nodens', 'CH', 'TXT'];
  const text = await space.run('dig', [`@${address}`, ...how, ...question]);
  const answer = /^instance\.nodens\.\s+0\s+CH\s+TXT\s+"(.*)"$/m.exec(text)?.[1];
  return answer ?? /status: (\w+)/.exec(text)?.[1] ?? text;
}

/** Stands in for init on `path`: sends the ports of its probes, and receives the agent's nonce. */
function listenAsInit(path: string): { nonce(): string | undefined; close(): void } {
  let nonce: string | undefined;
  const server = createServer((socket) => {
    socket.setEncoding('utf8').on('error', () => undefined);
    socket.write(encodeControl(STATUS));
    socket.on(
      'data',
      controlDecoder<AgentMessage>(
        (message) => {
          if (message.type === 'ready') nonce = message.nonce;
        },
        () => undefined,
      ),
    );
  });
  server.listen(path).unref();
  return { nonce: () => nonce, close: () => void server.close() };
}

if (!canMakeNetns()) sayLeftOut('the nonce reaches init only');
else {
  it("the agent sends its nonce only to init's probes, and refuses the pods'", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'nodens-nonce-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const conf = join(folder, 'Corefile');
    writeFileSync(conf, `.:${PORT} {\n  bind ${LOCAL_IP} ${NODE_IP}\n  whoami\n}\n`);
    const socket = join(folder, 'control.sock');
    const init = listenAsInit(socket);
    t.after(() => init.close());
    await withNetns(['node', 'pod'], async (node, pod) => {
      await connectNetns(node, `${NODE_IP}/24`, pod, '10.1.0.2/24');
      await pod.run('ip', ['route', 'add', 'default', 'via', NODE_IP]);
      await node.run('ip', ['addr', 'add', `${LOCAL_IP}/32`, 'dev', 'lo']);
      const command = [NODENS, 'agent', '-basecorefile=', '-conf', conf, '-localip', LOCAL_IP];
      node.start(process.execPath, [...command, '-socket', socket]);
      await eventually('the agent is ready', () => init.nonce() !== undefined, 60_000);
      const nonce = init.nonce() ?? '';
      assert.match(nonce, /^[0-9a-f]{32}$/);
      for (const address of [LOCAL_IP, NODE_IP]) {
        for (const over of ['+notcp', '+tcp']) {
          const what = `${address} ${over}`;
          const port = over === '+tcp' ? PROBE_PORTS.last : PROBE_PORTS.first;
          assert.equal(
            await identity(node, address, over, '-b', `${address}#${port}`),
            nonce,
            what,
          );
          assert.equal(await identity(node, address, over), 'nodens', what);
          assert.equal(await identity(pod, address, over), 'REFUSED', what);
          const fromProbePort = ['-b', `10.1.0.2#${port}`];
          assert.equal(await identity(pod, address, over, ...fromProbePort), 'REFUSED', what);
        }
      }
    });
  });
}
