/** The option `no_edns` of forward. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, groupOptions, question, watch } from '../../../support/upstream/fixture.ts';
import type { SeenQuery } from '../../../support/upstream/messages.ts';

const UDP = groupOptions({ preferUdp: true, maxFails: 0 });
const hasOpt = ({ head }: SeenQuery): boolean => head.hasOpt;

test('no_edns: no query has an OPT, no probe either, and nothing is learned', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group({ ...UDP, maxFails: 2, noEdns: true });
  for (let i = 0; i < 5; i++) watch(group.exchange(question({ dnssecOk: true }), 4_000));
  await clock.advance(700_000);
  watch(group.exchange(question(), 4_000));
  await clock.advance(5_000);
  const queries = [...sockets.datagrams, ...sockets.streams].flatMap((each) => each.queries);
  assert.ok(queries.length > 10);
  assert.equal(queries.some(hasOpt), false);
});
