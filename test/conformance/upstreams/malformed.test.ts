/** Damaged messages over real sockets: the process stays alive, its memory stays small, and it answers the next good question. */
import { strict as assert } from 'node:assert';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { after, before, it } from 'node:test';
import { frame } from '../../../agent/dns/frame.ts';
import { readReply } from '../../../agent/dns/reply.ts';
import { packetsIn } from '../../support/packets/read.ts';
import { queryWire } from '../../support/server/fixture.ts';
import { overTcp, overUdp, type Site, startSite } from '../../support/server/subject.ts';

const MUTATIONS = 10_000;
const MAX_RESIDENT_BYTES = 160 * 1024 * 1024;

let site: Site;
before(async () => {
  site = await startSite();
});
after(() => site.stop());

const FOLDERS = ['answer', 'badvers', 'formerr', 'notimp', 'silence'].map(
  (kind) => `queries/${kind}`,
);
const REPLIES = ['malformed', 'malformed-records', 'unrelated', 'readable'].map(
  (kind) => `replies/${kind}`,
);
const corpus = [...FOLDERS, ...REPLIES].flatMap(packetsIn).map(({ bytes }) => bytes);

async function assertAlive(): Promise<void> {
  for (const ask of [overUdp, overTcp]) {
    const response = await ask(site.subject, queryWire('a.conf.test', 1));
    assert.equal(response && readReply(response)?.rcode, 0);
  }
  assert.ok((site.residentBytes() ?? 0) < MAX_RESIDENT_BYTES, `${site.residentBytes()} resident`);
}

/** Deterministic: a failure can be repeated. */
function* random(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

function mutations(): Buffer[] {
  const chance = random(20_260_601);
  const below = (bound: number): number => Math.floor(chance.next().value * bound);
  return Array.from({ length: MUTATIONS }, () => {
    const wire = Buffer.from(corpus[below(corpus.length)] as Buffer);
    for (let i = below(6); i > 0 && wire.length > 0; i--) wire[below(wire.length)] = below(256);
    return below(4) === 0 ? wire.subarray(0, below(wire.length + 1)) : wire;
  });
}

async function sendUdp(messages: readonly Buffer[]): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  for (const [index, message] of messages.entries()) {
    socket.send(message, site.subject.port, site.subject.host);
    if (index % 100 === 99) await new Promise(setImmediate);
  }
  await new Promise((resolve) =>
    socket.send(Buffer.alloc(0), site.subject.port, site.subject.host, resolve),
  );
  socket.close();
}

/** Some as frames, some without a length in front, on a connection of each hundred. */
async function sendTcp(messages: readonly Buffer[]): Promise<void> {
  for (let at = 0; at < messages.length; at += 100) {
    const some = messages.slice(at, at + 100);
    const bytes = Buffer.concat(some.map((message, i) => (i === 99 ? message : frame(message))));
    await new Promise<void>((resolve) => {
      const socket = connect(site.subject.port, site.subject.host);
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
      socket.resume();
      socket.write(bytes, () => socket.resetAndDestroy());
    });
  }
}

it('the agent survives every message of the corpus', async () => {
  assert.ok(corpus.length > 50);
  await sendUdp(corpus);
  await sendTcp(corpus);
  await assertAlive();
});

it('the agent survives ten thousand mutations of these messages', async () => {
  const messages = mutations();
  await sendUdp(messages);
  await sendTcp(messages);
  await assertAlive();
});
