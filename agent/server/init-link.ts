/** The agent's side of the control socket to init: sends `ready` and `withdraw`, receives init's counters. */
import { connect, type Socket } from 'node:net';
import type { Clock, Timer } from '../base/clock.ts';
import {
  type AgentMessage,
  controlDecoder,
  encodeControl,
  type InitMessage,
  type InterceptionState,
} from '../base/control.ts';
import type { Logger } from '../query/services/log.ts';

const RETRY_MS = 200;
/** Warn if init has not connected by then. With a very large ruleset init needs a minute. */
const LATE_MS = 30_000;
/** How long a shutdown waits for init to remove interception. */
const WITHDRAW_MS = 2_000;

/** Init's report: the state of interception, and counts since init's start. */
export type InitStatus = Extract<InitMessage, { type: 'status' }>;

/** `path` is the Unix socket at which init listens. */
export interface InitLinkOptions {
  readonly path: string;
  /** The nonce that this agent answers init's probes with. */
  readonly nonce: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onStatus: (status: InitStatus) => void;
  /** Init was connected and is gone: its last state is no longer valid. */
  readonly onGone: () => void;
}

/** Connects as soon as init listens, and reconnects after it has gone. */
export class InitLink {
  readonly #options: InitLinkOptions;
  #socket: Socket | undefined;
  #retry: Timer | undefined;
  readonly #startMs: number;
  /** Last state that the connected init has sent; undefined before that. */
  #state: InterceptionState | undefined;
  #needsNoLateWarning = false;
  #isReady = false;
  #isClosed = false;
  #isConnected = false;
  /** Init's last message said that interception is withdrawn. */
  #isWithdrawn = false;
  /** Ends the wait of `withdraw`, with whether init has acknowledged. */
  #finishWithdraw: ((isAcknowledged: boolean) => void) | undefined;

  constructor(options: InitLinkOptions) {
    this.#options = options;
    this.#startMs = options.clock.nowMs();
    this.#connect();
  }

  /**
   * Whether interception is still to come: init has not reported that it intercepts or that it has nothing to set up.
   * Until then this agent must not be ready: otherwise a rolling update stops the old pod too early.
   */
  get isAwaited(): boolean {
    return this.#state !== 'intercepting' && this.#state !== 'off';
  }

  /** Last state that the connected init has sent; undefined while there is none. */
  get state(): InterceptionState | undefined {
    return this.#state;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** From now on, every init that connects learns that the agent answers. */
  ready(): void {
    this.#isReady = true;
    this.#sayReady();
  }

  /**
   * Asks init to remove interception. Resolves to whether init has acknowledged; false if init is not connected or does
   * not answer in time: it will then notice that the agent is gone.
   */
  withdraw(): Promise<boolean> {
    this.#isReady = false;
    if (!this.#isConnected) return Promise.resolve(this.#isWithdrawn);
    return new Promise((resolve) => {
      const finish = (isAcknowledged: boolean): void => {
        timer.cancel();
        this.#finishWithdraw = undefined;
        resolve(isAcknowledged);
      };
      const timer = this.#options.clock.after(WITHDRAW_MS, () => finish(false));
      this.#finishWithdraw = finish;
      this.#say({ type: 'withdraw' });
    });
  }

  /** Disconnects and does not reconnect; a `withdraw` in progress resolves to false. */
  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#socket?.destroy();
  }

  #connect(): void {
    const { path, log } = this.#options;
    const socket = connect(path);
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.unref();
    const onData = controlDecoder<InitMessage>(
      (message) => {
        if (message.type === 'status') this.#hearStatus(message);
        else if (message.type === 'withdrawn') {
          this.#isWithdrawn = true;
          this.#finishWithdraw?.(true);
        }
      },
      (line) =>
        log.warn(
          { event: 'control-message', line },
          'control socket: ignored a line that is not a message',
        ),
    );
    socket.on('connect', () => {
      this.#isConnected = true;
      this.#needsNoLateWarning = true;
      this.#isWithdrawn = false;
      if (this.#isReady) this.#sayReady();
    });
    socket.on('data', onData);
    // 'close' follows and retries; an init that does not listen yet is expected.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#lost());
  }

  #hearStatus(status: InitStatus): void {
    this.#state = status.state;
    this.#options.onStatus(status);
  }

  #lost(): void {
    if (this.#isConnected && !this.#isClosed) {
      const { log, path } = this.#options;
      log.warn({ event: 'init-gone', path }, 'lost the connection to init: reconnecting');
      this.#options.onGone();
    }
    this.#isConnected = false;
    this.#state = undefined;
    this.#finishWithdraw?.(false);
    if (this.#isClosed) return;
    this.#sayLate();
    this.#retry = this.#options.clock.after(RETRY_MS, () => this.#connect());
  }

  #sayLate(): void {
    const { clock, log, path } = this.#options;
    if (this.#needsNoLateWarning || clock.nowMs() - this.#startMs < LATE_MS) return;
    this.#needsNoLateWarning = true;
    const message = 'init has not connected: the agent is not ready, interception waits for init';
    log.warn({ event: 'init-late', path }, message);
  }

  #sayReady(): void {
    this.#say({ type: 'ready', nonce: this.#options.nonce });
  }

  #say(message: AgentMessage): void {
    if (this.#isConnected) this.#socket?.write(encodeControl(message));
  }
}
