/** A TCP listener with clients; the end of a test checks that no connection, no timer and no accounted memory remain. */
import { strict as assert } from 'node:assert';
import type { MemoryLedger } from '../../../agent/base/clients/memory-ledger.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import type { Handler } from '../../../agent/query/handler.ts';
import type { Query } from '../../../agent/query/query.ts';
import { TcpClients } from '../../../agent/server/tcp/clients.ts';
import type { CloseReason } from '../../../agent/server/tcp/connection.ts';
import { TcpListener } from '../../../agent/server/tcp/listener.ts';
import { type ListenTcp, sharedListen } from '../../../agent/server/tcp/reuseport-takeover.ts';
import { ledgerWith } from '../ledger.ts';
import { eventually } from '../netns/netns.ts';
import { answerTo, type Fixture, fixtureFor, queryWire } from './fixture.ts';
import { type TcpClient, tcpClient } from './tcp-client.ts';

interface Listening {
  readonly fixture: Fixture;
  readonly listener: TcpListener;
  readonly connections: { value: number };
  readonly rejected: { value: number };
  readonly closed: CloseReason[];
  /** Connects from `from`, 127.0.0.1 by default. */
  connect(from?: string): Promise<TcpClient>;
}

const cleanups: (() => Promise<void>)[] = [];
const ledgers = new Set<MemoryLedger>();

/** For `afterEach` of every file that listens. */
export async function closeListeners(): Promise<void> {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  for (const { usedBytes } of ledgers) assert.equal(usedBytes, 0, 'still accounted for');
  ledgers.clear();
}

export async function listen(
  handler: Handler,
  clients = new TcpClients(ledgerWith()),
  listenTcp: ListenTcp = sharedListen,
): Promise<Listening> {
  const fixture = fixtureFor(handler);
  const connections = { value: 0 };
  const rejected = { value: 0 };
  const closed: CloseReason[] = [];
  const listener = await TcpListener.open({
    ...{ endpoint: { address: '127.0.0.1', port: 0 }, listen: listenTcp },
    processor: fixture.processor('tcp'),
    ...{ clock: fixture.clock, clients, connections, rejected },
    onClosed: (reason) => void closed.push(reason),
    onCrowded: () => undefined,
    onError: assert.ifError,
  });
  ledgers.add(clients.ledger);
  const made: TcpClient[] = [];
  cleanups.push(async () => {
    for (const { socket } of made) socket.destroy();
    await listener.close();
    assert.equal(fixture.clock.pendingTimers, 0, 'a timer is left');
    await eventually('no connection is left', () => connections.value === 0);
  });
  const connect = async (from?: string): Promise<TcpClient> => {
    const accepted = connections.value;
    const client = await tcpClient(listener.endpoint.port, '127.0.0.1', from);
    made.push(client);
    await eventually(
      'accepted',
      () => connections.value !== accepted || client.ended.closed || rejected.value > 0,
    );
    return client;
  };
  return { fixture, listener, connections, rejected, closed, connect };
}

/** A chain whose answers the test releases by ID. */
export function parking(): { handler: Handler; parked: Map<number, () => void> } {
  const parked = new Map<number, () => void>();
  const handler = (query: Query): Promise<Answer> =>
    new Promise((resolve) => {
      parked.set(query.id, () => resolve(answerTo(query)));
    });
  return { handler, parked };
}

export const ids = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => from + i);
export const queries = (from: number, count: number): Buffer[] =>
  ids(from, count).map((id) => queryWire('a.test', id));
