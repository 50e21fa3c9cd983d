/**
 * Shares the event loop between TCP clients: one turn handles a limited number of messages of all connections, then
 * datagrams get their turn. Turns go to clients, not connections, so a client with many connections does not slow down
 * one with a single connection. One poll may also report a thousand connections that were opened, sent data or were
 * reset; datagrams that have arrived, from clients and upstreams, are handled between them.
 */

/** Messages handled in one turn of the event loop, about half a millisecond of cache hits. */
const MESSAGES_PER_TURN = 128;

/** Events and messages of connections between two looks at the UDP sockets: mostly less than half a millisecond. */
const STEPS_BETWEEN_DATAGRAMS = 8;

/** A UDP socket of the agent, or several. */
export interface DatagramSource {
  /** Sends what waits to be sent, and handles up to a batch of the datagrams that have arrived. */
  exchangeNow(): void;
}

/** A connection that has bytes to handle. */
export interface TcpWork {
  /** `clientKey` of its client. */
  readonly key: string;
  /** Handles part of the received data; the connection asks for another turn if it needs one. */
  work(): void;
}

/**
 * One for the process. A connection handles messages while `hasTime`, counts each with `spend`, and calls
 * `enqueue` if some are left.
 */
export class TcpScheduler {
  /** Messages left in this turn. */
  #left = MESSAGES_PER_TURN;
  #isArmed = false;
  /** Events and messages since the last look at the UDP sockets. */
  #steps = 0;
  readonly #datagramSources = new Set<DatagramSource>();
  /** Connections that wait for a turn, by client; the first client is the next one. */
  readonly #waiting = new Map<string, TcpWork[]>();

  /** Datagrams of `source` are handled between events of connections, until `forget`. */
  remember(source: DatagramSource): void {
    this.#datagramSources.add(source);
  }

  forget(source: DatagramSource): void {
    this.#datagramSources.delete(source);
  }

  /** Counts an event of a connection. Call it before any work on that event. */
  event(): void {
    this.#steps++;
    this.#handleDatagrams();
  }

  /** Whether a message may be handled now. */
  get hasTime(): boolean {
    return this.#left > 0;
  }

  /** Counts work that costs as much as so many messages that are answered at once. */
  spend(messages: number): void {
    this.#left -= messages;
    this.#steps += messages;
    this.#arm();
  }

  /** Calls `connection.work` in a later turn. A connection must not be queued twice. */
  enqueue(connection: TcpWork): void {
    const queue = this.#waiting.get(connection.key);
    if (queue === undefined) this.#waiting.set(connection.key, [connection]);
    else queue.push(connection);
    this.#arm();
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isArmed = false;
    this.#left = MESSAGES_PER_TURN;
    // A connection that has had its turn may be queued again: each client gets its turn before that.
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      next.work();
      this.#handleDatagrams();
    }
    if (this.#waiting.size > 0) this.#arm();
  };

  #handleDatagrams(): void {
    if (this.#steps < STEPS_BETWEEN_DATAGRAMS) return;
    this.#steps = 0;
    for (const source of this.#datagramSources) source.exchangeNow();
  }

  /** The next client's first connection; the client then moves to the end of the queue. */
  #take(): TcpWork | undefined {
    if (this.#left <= 0) return undefined;
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [key, queue] = first;
    this.#waiting.delete(key);
    const connection = queue.shift();
    if (queue.length > 0) this.#waiting.set(key, queue);
    return connection;
  }
}
