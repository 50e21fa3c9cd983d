/** DNS over HTTPS: what a connection to a hostile server costs at most. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { frame } from '../../../../agent/dns/frame.ts';
import { RCODE_MASK } from '../../../../agent/dns/header.ts';
import { HttpBody } from '../../../../agent/upstream/transport/https-body.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { Authority } from '../../../support/upstream/certificates.ts';
import { DNS, dialled, startHttp } from '../../../support/upstream/https-server.ts';

const authority = new Authority();
after(() => authority.remove());
const ca = authority.pem;
const GOOD = authority.sign('IP:127.0.0.1');
const QUERY = Buffer.from('00010100000100000000000001610000010001', 'hex');
const SERVFAIL = 2;

function queries(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => frame(QUERY)));
}

function rcodeOf(framed: Buffer): number {
  return framed.readUInt16BE(4) & RCODE_MASK;
}

test('requests that are never answered are bounded', async (t) => {
  let cancelled = 0;
  const server = await startHttp(
    t,
    GOOD,
    ({ stream }) => {
      stream.on('close', () => cancelled++);
    },
    2_000,
  );
  const { port, received } = await dialled(server.port, ca);
  port.write(queries(1_034));
  await eventually('10 are cancelled', () => cancelled >= 10);
  assert.deepEqual([cancelled, received.length], [10, 0]);
  port.destroy();
});

test('requests that the server has no stream for are bounded: the connection is closed', async (t) => {
  const server = await startHttp(t, GOOD, undefined, 0);
  const { port, closed } = await dialled(server.port, ca);
  await eventually('the limit is known', () => server.sessions[0]?.pendingSettingsAck === false);
  port.write(queries(2_100));
  await closed;
});

test('bodies that do not end are bounded, and the queries of the oldest fail', async (t) => {
  const bytes = 60_000;
  const server = await startHttp(t, GOOD, ({ stream }) => {
    stream.respond(DNS);
    stream.write(Buffer.alloc(bytes));
  });
  const { port, received } = await dialled(server.port, ca);
  const asked = 60;
  port.write(queries(asked));
  const kept = Math.floor((2 * 2 ** 20) / bytes);
  await eventually('the oldest fail', () => received.length >= asked - kept);
  assert.ok(received.every((framed) => rcodeOf(framed) === SERVFAIL));
  port.destroy();
});

test('a body keeps no memory but its own, and no more than a frame can carry', () => {
  const body = new HttpBody();
  const chunk = Buffer.alloc(16_384, 1);
  for (let i = 0; i < 300; i++) assert.ok(body.add(chunk.subarray(i, i + 1)));
  chunk.fill(2);
  assert.ok(body.heldBytes <= 1_024, `${body.heldBytes} bytes for 300`);
  assert.deepEqual(body.frame(), frame(Buffer.alloc(300, 1)));
  assert.ok(body.add(Buffer.alloc(65_235)));
  assert.equal(body.add(Buffer.alloc(1)), false);
  assert.equal(body.frame().length, 2 + 65_535);
  body.clear();
  assert.deepEqual([body.heldBytes, body.messageBytes], [0, 0]);
});
