import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Actions, Lifecycle } from '../../../../init/control/lifecycle.ts';

function recorded(lifecycle: Lifecycle, own: Partial<Actions> = {}) {
  const steps: string[] = [];
  const action = (name: keyof Actions) => (): void => {
    steps.push(name);
    own[name]?.();
  };
  const actions: Actions = {
    ...{ watch: action('watch'), intercept: action('intercept'), withdraw: action('withdraw') },
    ...{ reinstall: action('reinstall'), reconcile: action('reconcile'), leave: action('leave') },
    ...{ distrust: action('distrust'), exit: action('exit') },
    'reset-connections': action('reset-connections'),
    'report-killed': action('report-killed'),
    'await-recovery': action('await-recovery'),
    'restart-agent': action('restart-agent'),
    'stop-watching': action('stop-watching'),
    'stop-agent': action('stop-agent'),
  };
  lifecycle.start(actions, () => steps.push(`is ${lifecycle.state}`));
  return steps;
}

describe('lifecycle', () => {
  it('keeps events that arrive before its start, in their order', () => {
    const lifecycle = new Lifecycle();
    lifecycle.send('set-up');
    lifecycle.send('agent-proven');
    assert.equal(lifecycle.state, 'starting');
    const steps = recorded(lifecycle);
    assert.deepEqual(steps, ['watch', 'is waiting', 'intercept', 'is installing']);
  });

  it('handles the event of an action after all actions of the current event', () => {
    const lifecycle = new Lifecycle();
    const steps = recorded(lifecycle, {
      'stop-watching': () => lifecycle.send('withdrawn'),
      leave: () => lifecycle.send('node-changed'),
    });
    lifecycle.send('signal');
    const ending = ['stop-agent', 'is ending'];
    assert.deepEqual(steps, ['stop-watching', 'leave', 'is leaving', ...ending]);
  });

  it('reports a state only when it changes', () => {
    const lifecycle = new Lifecycle();
    const steps = recorded(lifecycle);
    lifecycle.send('node-changed');
    lifecycle.send('agent-answered');
    assert.deepEqual(steps, ['reconcile']);
  });
});
