/** Keeps the state of init: takes events, one after the other, and has the actions carried out. */
import { type Action, type Event, next, type State } from './machine.ts';

/** What carries each action out. None of them throws; what takes time sends an event at its end. */
export type Actions = Readonly<Record<Action, () => void>>;

/** The machine of `machine.ts` as it runs. It starts in `starting`, and holds events back until `start`. */
export class Lifecycle {
  #state: State = 'starting';
  readonly #events: Event[] = [];
  #actions: Actions | undefined;
  #onChange: () => void = () => undefined;
  #isBusy = false;

  get state(): State {
    return this.#state;
  }

  /** Events that came before are handled now. `onChange` is called after each change of the state. */
  start(actions: Actions, onChange: () => void): void {
    this.#actions = actions;
    this.#onChange = onChange;
    this.#handle();
  }

  /** An event that an action sends is handled after that action's own event. */
  readonly send = (event: Event): void => {
    this.#events.push(event);
    this.#handle();
  };

  #handle(): void {
    if (this.#actions === undefined || this.#isBusy) return;
    this.#isBusy = true;
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      const { state, actions } = next(this.#state, event);
      const isChange = state !== this.#state;
      this.#state = state;
      for (const action of actions) this.#actions[action]();
      if (isChange) this.#onChange();
    }
    this.#isBusy = false;
  }
}
