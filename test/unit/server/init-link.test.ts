import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { type AgentMessage, controlDecoder, encodeControl } from '../../../agent/base/control.ts';
import { InitLink, type InitStatus } from '../../../agent/server/init-link.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { eventually } from '../../support/netns/netns.ts';
import { RecordingLogger } from '../../support/services.ts';

let folder: string;
let path: string;
let clock: FakeClock;
let log: RecordingLogger;
let link: InitLink | undefined;
let init: FakeInit | undefined;
let gone = 0;

/** The other end of the socket: records messages, and sends what the test wants. */
class FakeInit {
  readonly received: AgentMessage[] = [];
  readonly #server: Server;
  #agent: Socket | undefined;

  constructor(at: string) {
    this.#server = createServer((socket) => {
      this.#agent = socket;
      socket.setEncoding('utf8');
      socket.on('error', () => undefined);
      socket.on(
        'data',
        controlDecoder<AgentMessage>((message) => this.received.push(message), assert.fail),
      );
    }).listen(at);
  }

  say(text: string): void {
    this.#agent?.write(text);
  }

  async die(): Promise<void> {
    this.#agent?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodens-link-'));
  path = join(folder, 'control.sock');
  clock = new FakeClock();
  log = new RecordingLogger();
  gone = 0;
});

afterEach(async () => {
  link?.close();
  await init?.die();
  init = undefined;
  rmSync(folder, { recursive: true });
});

function linked(onStatus: (status: InitStatus) => void = () => undefined): InitLink {
  link = new InitLink({
    ...{ path, nonce: 'a1b2', clock, log, onStatus, onGone: () => gone++ },
  });
  return link;
}

async function connected(): Promise<{ link: InitLink; init: FakeInit }> {
  const made = { init: new FakeInit(path), link: linked() };
  init = made.init;
  await eventually('connected', () => made.link.isConnected);
  return made;
}

it('waits for init, tells it when the agent answers, and tells the next init again', async () => {
  const made = linked();
  made.ready();
  await eventually('a retry is due', () => clock.pendingTimers === 1);
  init = new FakeInit(path);
  await clock.advance(200);
  const first = init;
  await eventually('ready', () => first.received.length === 1);
  assert.deepEqual(first.received, [{ type: 'ready', nonce: 'a1b2' }]);
  await first.die();
  await eventually('lost', () => !made.isConnected && clock.pendingTimers === 1);
  assert.deepEqual(
    log.records.map(({ level }) => level),
    ['warn'],
  );
  assert.equal(gone, 1);
  const second = new FakeInit(path);
  init = second;
  await clock.advance(200);
  await eventually('ready again', () => second.received.length === 1);
});

it('reads counters, and warns of unknown messages', async () => {
  const received: InitStatus[] = [];
  init = new FakeInit(path);
  const made = linked((status) => received.push(status));
  const { say } = { say: (text: string) => init?.say(text) };
  await eventually('connected', () => made.isConnected);
  made.ready();
  await eventually('heard', () => init?.received.length === 1);
  const status = {
    type: 'status',
    state: 'off',
    backend: 'nft',
    setupErrors: { iptables: 2 },
  } as const;
  say('nonsense\n');
  say(encodeControl(status));
  await eventually('status', () => received.length === 1);
  assert.deepEqual(received, [status]);
  assert.deepEqual(
    log.records.map(({ level }) => level),
    ['warn'],
  );
});

it('waits for init without a limit, and logs once after 30 s that init is missing', async () => {
  const alone = linked();
  for (const _ of Array(50)) {
    await eventually('a retry is due', () => clock.pendingTimers === 1);
    await clock.advance(2_000);
  }
  assert.equal(alone.isAwaited, true);
  assert.deepEqual(
    log.records.map(({ level, fields }) => [level, fields.event]),
    [['warn', 'init-late']],
  );
});

it('waits until init intercepts or has nothing to set up', async () => {
  const made = await connected();
  assert.equal(made.link.isAwaited, true, 'connected, but nothing said');
  const send = async (state: InitStatus['state'], isAwaited: boolean): Promise<void> => {
    made.init.say(encodeControl({ type: 'status', state, backend: 'nft', setupErrors: {} }));
    await eventually(`${state}: ${isAwaited}`, () => made.link.isAwaited === isAwaited);
  };
  await send('off', false);
  await send('waiting', true);
  await clock.advance(60_000);
  assert.equal(made.link.isAwaited, true);
  await send('intercepting', false);
  await send('withdrawn', true);
  await send('intercepting', false);
  await made.init.die();
  await eventually('gone', () => made.link.isAwaited);
});

it('init acknowledges a withdrawal', async () => {
  const made = await connected();
  const withdrawn = made.link.withdraw();
  await eventually('asked', () => made.init.received.length === 1);
  assert.deepEqual(made.init.received, [{ type: 'withdraw' }]);
  made.init.say(encodeControl({ type: 'withdrawn' }));
  assert.equal(await withdrawn, true);
  assert.equal(clock.pendingTimers, 0);
});

it('an init that stopped just before counts as having acknowledged the withdrawal', async () => {
  const made = await connected();
  made.init.say(encodeControl({ type: 'withdrawn' }));
  await made.init.die();
  await eventually('lost', () => !made.link.isConnected);
  assert.equal(await made.link.withdraw(), true);
});

it('a withdrawal is not acknowledged by an init that is missing, dies, or sends nothing', async () => {
  assert.equal(await linked().withdraw(), false);
  link?.close();
  const made = await connected();
  const silent = made.link.withdraw();
  await clock.advance(2_000);
  assert.equal(await silent, false);
  const dying = made.link.withdraw();
  await made.init.die();
  assert.equal(await dying, false);
});

it('does not reconnect once closed', async () => {
  const made = await connected();
  made.link.close();
  await eventually('closed', () => !made.link.isConnected);
  assert.equal(clock.pendingTimers, 0);
  assert.deepEqual(log.records, []);
});
