/**
 * The life of init as data: the state that init is in, what can happen, and what init does then. Nothing here touches the
 * node; `init/control/service.ts` carries the actions out. docs/lifecycle.md has the diagram.
 *
 * The states say what init knows of the agent and whether init wants query rules. What is in the kernel is a fact of its
 * own: another program may hold a lock, or remove rules. `reportedState` has both.
 */
import type { InterceptionState } from '../../agent/base/control.ts';

/** In the order of a life: docs/lifecycle.md has the diagram. */
export const STATES = [
  /** init puts addresses and standing rules on the node for the first time. */
  'starting',
  /** init has never intercepted. It waits for an agent that answers probes. */
  'waiting',
  /** An agent answers; init installs the query rules for the first time. */
  'installing',
  /** The agent answers, and the query rules are in the kernel. */
  'intercepting',
  /** As intercepting, but the last one or two rounds of probes had no answer. */
  'suspect',
  /** The agent answers; init installs the query rules again. */
  'restoring',
  /** The agent holds its sockets but does not answer. The query rules are withdrawn. */
  'hanging',
  /** An agent that hung answers again, not yet for long enough. */
  'recovering',
  /** No agent is there: it said goodbye, its connection ended, or its port refuses. The query rules are withdrawn. */
  'gone',
  /** init stops: it withdraws the query rules, for a bounded time. */
  'leaving',
  /** The query rules are withdrawn; a child ends now. */
  'ending',
  /** init may exit. */
  'stopped',
] as const;

/** One of `STATES`. */
export type State = (typeof STATES)[number];

/** What can happen. An event that the row of a state does not name is ignored there. */
export const EVENTS = [
  /** The first pass over addresses and rules is over, complete or not. */
  'set-up',
  /** Every local IP answered, one with the nonce of a ready agent, and no hold-off is left. */
  'agent-proven',
  /** Every local IP answered, but that does not prove an agent yet. */
  'agent-answered',
  /** A local IP did not answer a round of probes. */
  'probe-missed',
  /** So many rounds in a row had no answer that the agent counts as hanging. */
  'agent-unresponsive',
  /** As many rounds, and what did not answer in the last one refused: no socket is there. */
  'agent-refused',
  /** The connection of a ready agent ended without a goodbye; `agent-left` follows if it was the last. */
  'agent-lost',
  /** The last ready agent said goodbye, or is lost. */
  'agent-left',
  /** An agent that hangs had its time to recover. */
  'recovery-over',
  /** After a pass: the query rules are in the kernel. */
  'rules-installed',
  /** After a pass, or because the kernel dropped them: they are not. */
  'rules-missing',
  /** The nft process that owns the query rules ended; the kernel dropped them. */
  'owner-ended',
  /** Another program may have changed addresses or rules. */
  'node-changed',
  /** SIGTERM or SIGINT. */
  'signal',
  /** The agent, as child of init, ended by itself or as init asked for. */
  'agent-exited',
  /** On the way out: the query rules are withdrawn. */
  'withdrawn',
  /** On the way out: another program holds a lock for too long. */
  'withdrawal-late',
] as const;

/** One of `EVENTS`. */
export type Event = (typeof EVENTS)[number];

/** What init does at an event; `Lifecycle.start` gets a function for each. */
export type Action =
  /** Watches the node and probes the agent. */
  | 'watch'
  /** Installs the query rules. */
  | 'intercept'
  /** Drops the owned table at once where there is one; a pass removes the rest. */
  | 'withdraw'
  /** Installs the query rules again that the kernel dropped. */
  | 'reinstall'
  /** One pass: puts back what is missing. */
  | 'reconcile'
  /** Logs that the agent hangs, counts a flap, and trusts no agent for a minute. */
  | 'distrust'
  /** Resets the agent's TCP connections once the query rules are gone: clients ask again at once. */
  | 'reset-connections'
  /** Logs that an agent ended without a goodbye. */
  | 'report-killed'
  /** Gives the agent time before `recovery-over`, if that time does not run already. */
  | 'await-recovery'
  /** Drop-in mode only: a sidecar is restarted by its liveness probe. */
  | 'restart-agent'
  /** Ends what `watch` began. */
  | 'stop-watching'
  /** Removes the query rules for good, for a bounded time. */
  | 'leave'
  /** Ends the child, if there is one. */
  | 'stop-agent'
  /** Closes the control socket; agents learn that interception is withdrawn. */
  | 'exit';

/** The state after an event, and what init does, in this order. */
export interface Step {
  readonly state: State;
  readonly actions: readonly Action[];
}

type Row = Readonly<Partial<Record<Event, readonly [State, ...Action[]]>>>;

const stays = (state: State): Row => ({
  'set-up': [state, 'watch'],
  'node-changed': [state, 'reconcile'],
  'agent-lost': [state, 'report-killed'],
  signal: ['leaving', 'stop-watching', 'leave'],
  'agent-exited': ['leaving', 'stop-watching', 'leave'],
});

/** While query rules are wanted. `without`: where no agent is left. */
const wanting = (state: State, without: State): Row => ({
  ...stays(state),
  'owner-ended': [state, 'reinstall'],
  'agent-unresponsive': [
    ...(['hanging', 'withdraw', 'distrust', 'reset-connections', 'await-recovery'] as const),
  ],
  'agent-refused': [without, 'withdraw'],
  'agent-left': [without, 'withdraw'],
});

/** What is not in the table changes nothing. */
export const TABLE: Readonly<Record<State, Row>> = {
  starting: {
    ...stays('starting'),
    'set-up': ['waiting', 'watch'],
    'agent-proven': ['installing', 'intercept'],
  },
  waiting: {
    ...stays('waiting'),
    'agent-proven': ['installing', 'intercept'],
  },
  installing: {
    ...wanting('installing', 'waiting'),
    'rules-installed': ['intercepting'],
  },
  intercepting: {
    ...wanting('intercepting', 'gone'),
    'probe-missed': ['suspect'],
    'rules-missing': ['restoring'],
  },
  suspect: {
    ...wanting('suspect', 'gone'),
    'agent-proven': ['intercepting'],
    'agent-answered': ['intercepting'],
    'rules-missing': ['restoring'],
  },
  restoring: {
    ...wanting('restoring', 'gone'),
    'rules-installed': ['intercepting'],
  },
  hanging: {
    ...stays('hanging'),
    'agent-proven': ['restoring', 'intercept'],
    'agent-answered': ['recovering'],
    'agent-refused': ['gone'],
    'agent-left': ['gone'],
    'recovery-over': ['hanging', 'restart-agent'],
  },
  recovering: {
    ...stays('recovering'),
    'agent-proven': ['restoring', 'intercept'],
    'probe-missed': ['hanging', 'await-recovery'],
    'agent-left': ['gone'],
  },
  gone: {
    ...stays('gone'),
    'agent-proven': ['restoring', 'intercept'],
  },
  leaving: {
    withdrawn: ['ending', 'stop-agent'],
    'withdrawal-late': ['ending', 'stop-agent'],
  },
  ending: {
    'agent-exited': ['stopped', 'exit'],
  },
  stopped: {},
};

/** What follows from `event` in `state`. */
export function next(state: State, event: Event): Step {
  const [following = state, ...actions] = TABLE[state][event] ?? [];
  return { state: following, actions };
}

/** States in which init wants query rules in the kernel. */
export const WANTING: ReadonlySet<State> = new Set([
  ...(['installing', 'intercepting', 'suspect', 'restoring'] as const),
]);

const BEFORE_INTERCEPTION: ReadonlySet<State> = new Set(['starting', 'waiting', 'installing']);

/** What init tells agents, the log and metrics. `isInKernel`: whether the query rules are there. */
export function reportedState(state: State, isInKernel: boolean): InterceptionState {
  if (isInKernel) return 'intercepting';
  return BEFORE_INTERCEPTION.has(state) ? 'waiting' : 'withdrawn';
}
