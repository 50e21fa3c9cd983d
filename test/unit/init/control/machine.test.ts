import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AgentHealth, MAX_FAILURES } from '../../../../init/agent/health.ts';
import type { Round } from '../../../../init/agent/probe.ts';
import {
  type Action,
  EVENTS,
  type Event,
  next,
  reportedState,
  STATES,
  type State,
  TABLE,
  WANTING,
} from '../../../../init/control/machine.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const ON_THE_WAY_OUT: readonly State[] = ['leaving', 'ending', 'stopped'];
const RUNNING = STATES.filter((state) => !ON_THE_WAY_OUT.includes(state));

const PAIRS = STATES.flatMap((state) =>
  EVENTS.map((event) => ({ state, event, step: next(state, event) })),
);

/** `state` and all states that events can lead to from it. */
function reachable(state: State): Set<State> {
  const found = new Set([state]);
  for (const from of found) for (const event of EVENTS) found.add(next(from, event).state);
  return found;
}

const has = (actions: readonly Action[], action: Action): boolean => actions.includes(action);

describe('lifecycle of init: each event in each state', () => {
  it('init installs the query rules exactly when it enters a state that needs them', () => {
    for (const { state, event, step } of PAIRS) {
      const comes = !WANTING.has(state) && WANTING.has(step.state);
      assert.equal(has(step.actions, 'intercept'), comes, `${state}, ${event}`);
    }
  });

  it('init withdraws the query rules exactly when it leaves the states that need them', () => {
    for (const { state, event, step } of PAIRS) {
      const ends = WANTING.has(state) && !WANTING.has(step.state);
      const removes = has(step.actions, 'withdraw') || has(step.actions, 'leave');
      if (ends) assert.ok(removes, `${state}, ${event}`);
      if (has(step.actions, 'withdraw')) assert.ok(ends, `${state}, ${event}`);
    }
  });

  it('init intercepts only for a proven agent', () => {
    for (const { event, step } of PAIRS)
      if (has(step.actions, 'intercept')) assert.equal(event, 'agent-proven');
  });

  it('init does not intercept after the agent hangs, refuses or leaves', () => {
    for (const state of STATES)
      for (const event of ['agent-unresponsive', 'agent-refused', 'agent-left'] as const)
        assert.ok(!WANTING.has(next(state, event).state), `${state}, ${event}`);
  });

  it('when the agent hangs, init withdraws, resets connections and awaits recovery', () => {
    for (const state of WANTING)
      assert.deepEqual(next(state, 'agent-unresponsive'), {
        state: 'hanging',
        actions: ['withdraw', 'distrust', 'reset-connections', 'await-recovery'],
      });
  });

  it('init restarts an agent only if it still hangs when the time for recovery is over', () => {
    for (const { state, event, step } of PAIRS)
      if (has(step.actions, 'restart-agent'))
        assert.deepEqual([state, event], ['hanging', 'recovery-over']);
  });

  it('init restores what other programs remove, in every state before it leaves', () => {
    for (const state of STATES) {
      const { actions } = next(state, 'node-changed');
      assert.deepEqual(actions, RUNNING.includes(state) ? ['reconcile'] : [], state);
      const lost = next(state, 'owner-ended').actions;
      assert.deepEqual(lost, WANTING.has(state) ? ['reinstall'] : [], state);
    }
  });

  it('init leaves once, after a signal or the end of its child, and stops watching', () => {
    for (const state of STATES)
      for (const event of ['signal', 'agent-exited'] as const) {
        const { actions } = next(state, event);
        const begins = RUNNING.includes(state);
        assert.equal(has(actions, 'leave'), begins, state);
        assert.equal(has(actions, 'stop-watching'), begins, state);
      }
    for (const { state, event, step } of PAIRS)
      if (ON_THE_WAY_OUT.includes(state))
        assert.ok(ON_THE_WAY_OUT.includes(step.state), `${state}, ${event}`);
  });

  it('an event that the table does not list for a state changes nothing', () => {
    for (const { state, event, step } of PAIRS)
      if (TABLE[state][event] === undefined) assert.deepEqual(step, { state, actions: [] });
  });
});

describe('lifecycle of init: sequences of events', () => {
  it('every state is reachable and leads to the end, and every event is used', () => {
    assert.deepEqual(reachable('starting'), new Set(STATES));
    for (const state of STATES) assert.ok(reachable(state).has('stopped'), state);
    for (const state of RUNNING) assert.ok(reachable(state).has('intercepting'), state);
    const used = PAIRS.filter(({ state, event }) => TABLE[state][event] !== undefined);
    assert.deepEqual(new Set(used.map(({ event }) => event)), new Set(EVENTS));
  });

  it('init leaves and exits exactly once, whatever events arrive', () => {
    const noise = fc.array(fc.constantFrom(...EVENTS), { maxLength: 40 });
    fc.assert(
      fc.property(noise, noise, noise, fc.boolean(), (before, during, after, isLate) => {
        let state: State = 'starting';
        const seen: Action[] = [];
        const send = (event: Event): void => {
          const step = next(state, event);
          state = step.state;
          seen.push(...step.actions);
        };
        for (const event of before) send(event);
        send('signal');
        for (const event of during) send(event);
        // The actions of `leaving` always send one of these.
        send(isLate ? 'withdrawal-late' : 'withdrawn');
        for (const event of after) send(event);
        send('agent-exited');
        assert.equal(state, 'stopped');
        for (const once of ['leave', 'stop-agent', 'exit'] as const)
          assert.equal(seen.filter((action) => action === once).length, 1, once);
      }),
    );
  });

  it('init never intercepts after the maximum of failed rounds', async () => {
    const round = fc.constantFrom<Round>(
      { silent: [], isRefused: true, names: new Set(['me']) },
      { silent: [], isRefused: true, names: new Set(['another']) },
      { silent: ['udp a'], isRefused: false, names: new Set() },
      { silent: ['udp a'], isRefused: true, names: new Set() },
    );
    const between = fc.constantFrom<Event>('rules-installed', 'rules-missing', 'owner-ended');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(round, between), { maxLength: 60 }), async (rounds) => {
        const clock = new FakeClock();
        let state: State = 'starting';
        let at = 0;
        let failed = 0;
        const health = new AgentHealth({
          clock,
          probe: async () => {
            const result = rounds[at++]?.[0] ?? { silent: [], isRefused: true, names: new Set() };
            failed = result.silent.length === 0 ? 0 : failed + 1;
            return result;
          },
          isIntercepting: () => WANTING.has(state),
          send: (event) => {
            const step = next(state, event);
            state = step.state;
            if (has(step.actions, 'distrust')) health.holdOff();
          },
        });
        health.ready({}, 'me');
        for (const [, event] of rounds) {
          await clock.advance(250);
          assert.ok(failed < MAX_FAILURES || !WANTING.has(state), `${state} after ${failed}`);
          state = next(state, event).state;
        }
        health.stop();
      }),
      { numRuns: 200 },
    );
  });
});

describe('what init reports', () => {
  it('is "intercepting" exactly while the query rules are in the kernel', () => {
    for (const state of STATES) {
      assert.equal(reportedState(state, true), 'intercepting');
      assert.notEqual(reportedState(state, false), 'intercepting');
    }
    assert.equal(reportedState('installing', false), 'waiting');
    assert.equal(reportedState('restoring', false), 'withdrawn');
  });
});

describe('docs/lifecycle.md', () => {
  const page = readFileSync(new URL('../../../../docs/lifecycle.md', import.meta.url), 'utf8');

  it('has a diagram with exactly the edges of the machine', () => {
    const drawn = [...page.matchAll(/^ {4}(\w+) --> (\w+): (.+)$/gm)].flatMap(
      ([, from = '', to = '', events = '']) =>
        events.split(', ').map((event) => `${from} --> ${to}: ${event}`),
    );
    const edges = PAIRS.filter(({ state, step }) => step.state !== state)
      // The diagram draws the way out once for all states.
      .filter(({ state, step }) => !(RUNNING.includes(state) && step.state === 'leaving'))
      .map(({ state, event, step }) => `${state} --> ${step.state}: ${event}`);
    const ways = ['running --> leaving: signal', 'running --> leaving: agent-exited'];
    assert.deepEqual(drawn.toSorted(), [...edges, ...ways].toSorted());
  });

  it('has the reported state of each state', () => {
    const rows = [...page.matchAll(/^\| `(\w+)` \| `(\w+)` \|/gm)].map(
      ([, state, reported]) => `${state} ${reported}`,
    );
    const isThere = (state: State) => state === 'intercepting' || state === 'suspect';
    const expected = STATES.map((state) => `${state} ${reportedState(state, isThere(state))}`);
    assert.deepEqual(rows, expected);
  });
});
