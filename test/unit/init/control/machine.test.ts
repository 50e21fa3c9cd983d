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

/** States that some events lead to from `state`, itself included. */
function reachable(state: State): Set<State> {
  const found = new Set([state]);
  for (const from of found) for (const event of EVENTS) found.add(next(from, event).state);
  return found;
}

const has = (actions: readonly Action[], action: Action): boolean => actions.includes(action);

describe('the life of init: each event in each state', () => {
  it('installs the query rules where they come to be wanted, and nowhere else', () => {
    for (const { state, event, step } of PAIRS) {
      const comes = !WANTING.has(state) && WANTING.has(step.state);
      assert.equal(has(step.actions, 'intercept'), comes, `${state}, ${event}`);
    }
  });

  it('withdraws them where they are wanted no more, and nowhere else', () => {
    for (const { state, event, step } of PAIRS) {
      const ends = WANTING.has(state) && !WANTING.has(step.state);
      const removes = has(step.actions, 'withdraw') || has(step.actions, 'leave');
      if (ends) assert.ok(removes, `${state}, ${event}`);
      if (has(step.actions, 'withdraw')) assert.ok(ends, `${state}, ${event}`);
    }
  });

  it('only a proven agent is intercepted', () => {
    for (const { event, step } of PAIRS)
      if (has(step.actions, 'intercept')) assert.equal(event, 'agent-proven');
  });

  it('an agent that hangs or is not there is never intercepted afterwards', () => {
    for (const state of STATES)
      for (const event of ['agent-unresponsive', 'agent-refused', 'agent-left'] as const)
        assert.ok(!WANTING.has(next(state, event).state), `${state}, ${event}`);
  });

  it('an agent that hangs is distrusted, its clients are reset, and it gets time to recover', () => {
    for (const state of WANTING)
      assert.deepEqual(next(state, 'agent-unresponsive'), {
        state: 'hanging',
        actions: ['withdraw', 'distrust', 'reset-connections', 'await-recovery'],
      });
  });

  it('restarts an agent only where it still does not answer', () => {
    for (const { state, event, step } of PAIRS)
      if (has(step.actions, 'restart-agent'))
        assert.deepEqual([state, event], ['hanging', 'recovery-over']);
  });

  it('puts back what other programs remove in every state before the way out', () => {
    for (const state of STATES) {
      const { actions } = next(state, 'node-changed');
      assert.deepEqual(actions, RUNNING.includes(state) ? ['reconcile'] : [], state);
      const lost = next(state, 'owner-ended').actions;
      assert.deepEqual(lost, WANTING.has(state) ? ['reinstall'] : [], state);
    }
  });

  it('the way out begins with a signal or the end of the child, once, and stops what was begun', () => {
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

  it('what a state does not know changes nothing', () => {
    for (const { state, event, step } of PAIRS)
      if (TABLE[state][event] === undefined) assert.deepEqual(step, { state, actions: [] });
  });
});

describe('the life of init: the whole of it', () => {
  it('every state is reached, has a way out, and every event and action is used', () => {
    assert.deepEqual(reachable('starting'), new Set(STATES));
    for (const state of STATES) assert.ok(reachable(state).has('stopped'), state);
    for (const state of RUNNING) assert.ok(reachable(state).has('intercepting'), state);
    const used = PAIRS.filter(({ state, event }) => TABLE[state][event] !== undefined);
    assert.deepEqual(new Set(used.map(({ event }) => event)), new Set(EVENTS));
  });

  it('leaving ends in an exit, whatever comes between', () => {
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
        // What the actions of the way out are sure to send.
        send(isLate ? 'withdrawal-late' : 'withdrawn');
        for (const event of after) send(event);
        send('agent-exited');
        assert.equal(state, 'stopped');
        for (const once of ['leave', 'stop-agent', 'exit'] as const)
          assert.equal(seen.filter((action) => action === once).length, 1, once);
      }),
    );
  });

  it('never intercepts an agent beyond the bound of failed rounds', async () => {
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
  it('is intercepting exactly while the query rules are in the kernel', () => {
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

  it('has the diagram of the machine, edge by edge', () => {
    const drawn = [...page.matchAll(/^ {4}(\w+) --> (\w+): (.+)$/gm)].flatMap(
      ([, from = '', to = '', events = '']) =>
        events.split(', ').map((event) => `${from} --> ${to}: ${event}`),
    );
    const edges = PAIRS.filter(({ state, step }) => step.state !== state)
      // The way out is drawn once for all.
      .filter(({ state, step }) => !(RUNNING.includes(state) && step.state === 'leaving'))
      .map(({ state, event, step }) => `${state} --> ${step.state}: ${event}`);
    const ways = ['running --> leaving: signal', 'running --> leaving: agent-exited'];
    assert.deepEqual(drawn.toSorted(), [...edges, ...ways].toSorted());
  });

  it('says what each state is reported as', () => {
    const rows = [...page.matchAll(/^\| `(\w+)` \| `(\w+)` \|/gm)].map(
      ([, state, reported]) => `${state} ${reported}`,
    );
    const isThere = (state: State) => state === 'intercepting' || state === 'suspect';
    const expected = STATES.map((state) => `${state} ${reportedState(state, isThere(state))}`);
    assert.deepEqual(rows, expected);
  });
});
