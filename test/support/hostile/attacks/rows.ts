/** The attacks over DNS, and what each must lead to. */
import type { Limited } from '../../../../agent/query/services/client-limits.ts';

export const OTHER_POD = '127.0.0.66';
/** The node's own address, whose share is larger. */
const NODE = '127.0.0.1';

export interface Row {
  readonly name: string;
  readonly attacks: readonly string[];
  readonly from?: string;
  /** The limit that the client must have hit, one of these; none where it does not affect other clients. */
  readonly limited?: readonly Limited[];
  /** In `npm test`: the limit, MiB, and for how long. */
  readonly limit: string;
  readonly seconds?: number;
}

export const ROWS: readonly Row[] = [
  {
    ...{ name: '20 TCP connections: 256 questions without an answer, frames of length zero' },
    ...{ attacks: ['unanswered'], limited: ['queries', 'memory', 'nonsense'] },
    // A query waits for 4 s; frames after it are read then.
    ...{ limit: '128', seconds: 6 },
  },
  {
    ...{ name: '50 TCP connections: frames of length zero', attacks: ['nonsense'], limit: '96' },
    limited: ['nonsense'],
  },
  {
    ...{ name: '500 TCP connections: 60 kB of questions and more for a cached name, nothing read' },
    ...{ attacks: ['unread'], limited: ['memory', 'unread'], limit: '128' },
  },
  {
    ...{ name: 'the same with large answers', attacks: ['unreadBig'], limit: '128' },
    limited: ['memory', 'unread'],
  },
  {
    ...{ name: '1,000 TCP connections, a pending question on each', attacks: ['waiting'] },
    // The first limit to be reached: places, or memory of the queries and connections.
    ...{ limited: ['connections', 'memory', 'queries'], limit: '128' },
  },
  {
    ...{ name: 'the same by the node itself', attacks: ['waiting'], from: NODE, limit: '96' },
    limited: ['connections', 'memory', 'queries'],
  },
  {
    ...{ name: '1,000 names without an answer a second', attacks: ['silent1000'], limit: '128' },
  },
  {
    ...{ name: '4,000 names without an answer a second', attacks: ['silent4000'], limit: '128' },
    ...{ limited: ['queries'], seconds: 3 },
  },
  {
    ...{ name: '4,000 a second by 100 clients', attacks: ['manyClients'], limit: '128' },
  },
  {
    ...{ name: 'names without an answer, as many as a process can send' },
    // The agent may answer as fast as one process sends: then none of its datagrams are discarded.
    ...{ attacks: ['silentFlood'], limited: ['datagrams', 'queries'], limit: '128', seconds: 2 },
  },
  {
    ...{ name: 'a cached name, as often as a process can send', attacks: ['cachedFlood'] },
    ...{ limit: '96' },
  },
  { name: 'datagrams that are no queries', attacks: ['garbage'], limit: '96' },
  {
    ...{ name: '300 TCP connections that read 10 kB a second', attacks: ['slowReaders'] },
    ...{ limited: ['memory', 'unread'], limit: '128' },
  },
  {
    ...{ name: '1,200 TCP connections that send a byte a second', attacks: ['slowWriters'] },
    ...{ limited: ['connections', 'memory'], limit: '96' },
  },
  {
    ...{ name: '1,000 half-closed TCP connections', attacks: ['halfClosed'], limit: '128' },
    limited: ['connections', 'memory', 'queries'],
  },
  {
    ...{ name: '1,200 unfinished frames of 4,096 bytes', attacks: ['unfinished'], limit: '96' },
    limited: ['connections', 'memory'],
  },
  {
    ...{ name: 'frames of 65,535 bytes', attacks: ['longFrames'], limit: '128' },
    limited: ['nonsense'],
  },
  { name: 'TCP connections opened and closed', attacks: ['floods'], limit: '96' },
  {
    ...{ name: 'TCP connections opened and reset', attacks: ['resets'], limit: '96' },
  },
  {
    ...{ name: '64 clients that get /metrics again and again', attacks: ['scrapers'] },
    limit: '96',
  },
  {
    ...{ name: '700 pipelined requests for /metrics, nothing read', attacks: ['unreadPages'] },
    limit: '96',
  },
  {
    ...{ name: '64 unfinished HTTP requests, made anew', attacks: ['unfinishedRequests'] },
    limit: '96',
  },
  {
    ...{ name: 'all kinds together', attacks: ['unread', 'waiting', 'silent1000', 'unfinished'] },
    ...{ limited: ['memory', 'connections', 'queries'], limit: '96', seconds: 4 },
  },
];
