/** For any TCP upstream that reads only a part of its input: every query ends, and the number of upstream queries is bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DnsError } from '../../../agent/base/errors.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { fixture, groupOptions, question, watch } from '../../support/upstream/fixture.ts';
import { type Manners, RudeServer } from '../../support/upstream/rude-server.ts';

const BUDGET_MS = 2_000;

const manners: fc.Arbitrary<Manners> = fc.record(
  {
    inAll: fc.integer({ min: 0, max: 12 }),
    perWrite: fc.integer({ min: 1, max: 4 }),
    resets: fc.boolean(),
    staysOpen: fc.boolean(),
  },
  { requiredKeys: [] },
);

/** Names asked at once, and the behaviour of the server. */
const bursts = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), manners), {
  minLength: 1,
  maxLength: 4,
});

test('every query ends by its deadline, with a bounded number of queries and connections', async () => {
  await fc.assert(
    fc.asyncProperty(bursts, fc.boolean(), async (reported, mayRepeat) => {
      const network = fixture({ random: () => 0.5 });
      const options = { forceTcp: true, maxConnectAttempts: mayRepeat ? 0 : 1 };
      const group = network.room.group(groupOptions(options));
      const server = new RudeServer(network, {});
      for (const [count, behaviour] of reported) {
        server.manners = behaviour;
        const before = server.queries;
        const watched = Array.from({ length: count }, (_, i) =>
          watch(group.exchange(question({ name: nameFromText(`n${i}.example.`) }), BUDGET_MS)),
        );
        await server.serve(BUDGET_MS + 100);
        for (const { outcome } of watched) assert.notEqual(outcome, undefined);
        // With nine answers or more on a connection its limit is not remembered: the remaining queries go to the next one.
        const bound = count * Math.min(count, 64 / 9) + 12 * count + 20;
        assert.ok(server.queries - before <= bound, `${server.queries - before} for ${count}`);
        const open = network.metrics.value('nodens_upstream_connections', { transport: 'tcp' });
        assert.ok(open <= 17, `${open} connections`);
        const isKind =
          behaviour.inAll !== 0 && behaviour.staysOpen !== true && reported.length === 1;
        const errors = watched.filter(({ outcome }) => outcome instanceof DnsError);
        if (isKind && behaviour.perWrite === undefined) assert.equal(errors.length, 0);
      }
      await network.room.close();
      assert.equal(network.room.inFlight, 0);
      assert.equal(network.clock.pendingTimers, 0);
    }),
    { numRuns: 25, interruptAfterTimeLimit: 10_000 },
  );
});
