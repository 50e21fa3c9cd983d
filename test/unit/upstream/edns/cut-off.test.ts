/** Upstreams that close the connection at a query with EDNS, or answer it with an unreadable reply. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame } from '../../../../agent/dns/frame.ts';
import { TYPE } from '../../../../agent/dns/iana.ts';
import type { UpstreamGroup } from '../../../../agent/query/services/upstreams.ts';
import type { FakeStream } from '../../../support/upstream/fake-sockets.ts';
import {
  errorOf,
  type Fixture,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../../support/upstream/fixture.ts';
import { replyTo, type SeenQuery } from '../../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const TCP = groupOptions({ forceTcp: true, maxFails: 0 });
const hasOpt = ({ head }: SeenQuery): boolean => head.hasOpt;
const isOwn = ({ head }: SeenQuery): boolean => head.type === TYPE.NS;

type Says = (stream: FakeStream, query: SeenQuery) => void;

const closes =
  (errno?: string): Says =>
  (stream) => {
    stream.state = 'ended';
    stream.close(errno);
  };
/** The header counts an additional record that is missing: a server that knows no OPT repeats the count of the query. */
const miscounts: Says = (stream, query) => {
  const message = replyTo(query, { address: ADDRESS });
  message.writeUInt16BE(1, 10);
  stream.deliver(frame(message));
};
const bare: Says = (stream, query) => {
  const message = replyTo(query).subarray(0, 12);
  message.writeUInt16BE(0, 4);
  stream.deliver(frame(message));
};
const answers: Says = (stream, query) => stream.answer({ address: ADDRESS }, query);

const said = new WeakSet<SeenQuery>();

/** Opens each connection, and handles each query with `says`. */
async function serve(network: Fixture, ms: number, says: Says): Promise<void> {
  for (let i = 0; i < ms; i++) {
    for (const stream of [...network.sockets.streams]) {
      if (stream.state !== 'open') continue;
      stream.open();
      for (const query of [...stream.queries]) {
        if (stream.state !== 'open' || said.has(query)) continue;
        said.add(query);
        says(stream, query);
      }
    }
    await network.clock.advance(1);
  }
}

const queriesOf = ({ sockets }: Fixture): SeenQuery[] =>
  sockets.streams.flatMap(({ queries }) => queries);

async function ask(network: Fixture, group: UpstreamGroup, says: Says, ms = 300) {
  const before = new Set(queriesOf(network));
  const watched = watch(group.exchange(question(), 4_000));
  await serve(network, ms, says);
  const sent = queriesOf(network).filter((query) => !before.has(query) && !isOwn(query));
  return { watched, sent: sent.map(hasOpt) };
}

for (const [what, bad] of [
  ['closes the connection', closes()],
  ['resets the connection', closes('ECONNRESET')],
  ['answers with a count that is wrong', miscounts],
  ['answers NOERROR without a question', bare],
] as const) {
  const dislike: Says = (stream, query) => (hasOpt(query) ? bad : answers)(stream, query);

  test(`an upstream that ${what} at EDNS is asked without EDNS, also from then on`, async () => {
    const network = fixture();
    const group = network.room.group(TCP);
    const first = await ask(network, group, dislike);
    assert.equal(replyOf(first.watched).reply.records.length, 1);
    const second = await ask(network, group, dislike);
    assert.equal(replyOf(second.watched).reply.records.length, 1);
    assert.deepEqual(second.sent, [false]);
    const labels = { transport: 'tcp', what: 'edns' };
    assert.equal(network.metrics.value('nodens_upstream_learned_total', labels), 1);
  });

  test(`an upstream that ${what} at any query is asked without EDNS three times a minute`, async () => {
    const network = fixture();
    const group = network.room.group(TCP);
    let plain = 0;
    for (let i = 0; i < 12; i++) {
      const { watched, sent } = await ask(network, group, bad, 4_100);
      assert.ok(errorOf(watched));
      plain += sent.filter((opt) => !opt).length;
    }
    // A query that ended a connection is sent on another one once.
    assert.ok(plain >= 3 && plain <= 6, `${plain} without OPT`);
    assert.equal(network.metrics.value('nodens_upstream_learned_total'), 0);
  });
}

test('a connection that breaks after an answer to EDNS does not count against EDNS', async () => {
  const network = fixture();
  const group = network.room.group(TCP);
  await ask(network, group, answers);
  for (let i = 0; i < 8; i++) {
    let isFirst = true;
    const { sent } = await ask(network, group, (stream, query) => {
      (isFirst ? closes() : answers)(stream, query);
      isFirst = false;
    });
    assert.ok(sent.length > 1);
    assert.ok(sent.every(Boolean), `round ${i}: ${sent}`);
  }
});
