/** A collector of dnstap messages on a real socket sees what nodens as built asks an upstream that cuts its replies short. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode } from 'dns-packet';
import { buildQuery } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { freePort } from '../../support/free-port.ts';
import { eventually } from '../../support/netns/netns.ts';
import { type Fields, readFields } from '../../support/protobuf.ts';
import { overUdp, stopped, type Target } from '../../support/server/subject.ts';
import { type FakeServer, startServer } from '../../support/upstream/server.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const NAME = 'www.tap.test';
const FORWARDER = { query: 7, response: 8 };
const [UDP, TCP] = [1, 2];

const folder = mkdtempSync(join(tmpdir(), 'nodens-tap-'));
const path = join(folder, 'tap.sock');
let collector: Server;
let received = Buffer.alloc(0);
let upstream: FakeServer;
let nodens: ChildProcess;
let subject: Target;

/** Accepts any writer of Frame Streams, and keeps what it sends. */
function collect(socket: Socket): void {
  const accept = Buffer.from('000000000000000400000001', 'hex');
  socket.on('error', () => undefined);
  socket.once('data', () => socket.write(accept));
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
  });
}

/** The messages that have arrived, in order; control frames begin with a length of 0. */
function messages(): Fields[] {
  const found: Fields[] = [];
  for (let at = 0; at + 4 <= received.length; ) {
    const length = received.readUInt32BE(at);
    const start = at + (length === 0 ? 8 : 4);
    const end = start + (length === 0 ? received.readUInt32BE(at + 4) : length);
    if (end > received.length) break;
    if (length > 0) {
      const outer = readFields(received.subarray(start, end));
      found.push(readFields(outer.get(14)?.[0] as Buffer));
    }
    at = end;
  }
  return found;
}

const nameIn = (message: unknown): string | undefined =>
  decode(message as Buffer).questions?.[0]?.name.toLowerCase();

before(async () => {
  collector = createServer(collect);
  await new Promise<void>((resolve) => collector.listen(path, resolve));
  upstream = await startServer((asked) =>
    asked.answer(asked.transport === 'udp' ? { truncated: true } : { address: [192, 0, 2, 1] }),
  );
  subject = { host: '127.0.0.1', port: await freePort() };
  const corefile = join(folder, 'Corefile');
  writeFileSync(
    corefile,
    `.:${subject.port} {
  bind ${subject.host}
  dnstap ${path} full
  forward . 127.0.0.1:${upstream.port}
}
`,
  );
  nodens = spawn(process.execPath, [NODENS, 'agent', '-conf', corefile], { stdio: 'ignore' });
  await eventually('nodens answers', async () => (await ask('ready.test')) !== undefined);
});
after(async () => {
  await stopped(nodens);
  await upstream.close();
  collector.close();
  rmSync(folder, { recursive: true });
});

function ask(name: string): Promise<Buffer | undefined> {
  const wire = buildQuery({
    ...{ name: nameFromText(name), type: TYPE.A, class: CLASS.IN, id: 7, flags: FLAG.RD },
    ...{ dnssecOk: false, udpSizeBytes: undefined },
  });
  return overUdp(subject, wire, 6_000);
}

it('has each query to the upstream and each reply, byte for byte', async () => {
  assert.ok(await ask(NAME));
  const ofName = (type: number, field: number): Fields[] =>
    messages().filter((each) => each.get(1)?.[0] === type && nameIn(each.get(field)?.[0]) === NAME);
  await eventually('both replies', async () => ofName(FORWARDER.response, 14).length >= 2);
  const queries = ofName(FORWARDER.query, 10);
  const asked = upstream.seen.filter(({ message }) => nameIn(message) === NAME);
  const sorted = (all: readonly Buffer[]): Buffer[] => [...all].sort(Buffer.compare);
  assert.deepEqual(
    sorted(queries.map((each) => each.get(10)?.[0] as Buffer)),
    sorted(asked.map(({ message }) => message)),
  );
  const protocols = new Set(ofName(FORWARDER.response, 14).map((each) => each.get(3)?.[0]));
  assert.deepEqual(protocols, new Set([UDP, TCP]));
  for (const each of queries) {
    assert.deepEqual(each.get(5), [Buffer.from([127, 0, 0, 1])]);
    assert.deepEqual(each.get(7), [upstream.port]);
  }
});
