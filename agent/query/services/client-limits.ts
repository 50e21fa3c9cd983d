/** Why the agent limited a client. */

/**
 * The client's offence: it sent more datagrams than the agent answers, it had the most queries waiting, its connection used the
 * most memory, it had the most connections, it sent invalid queries over TCP, or it left its answers unread. On HTTP ports: it
 * had the most connections or memory, it was slow to send or to read, or it sent something that is not HTTP.
 */
export type Limited =
  | 'datagrams'
  | 'queries'
  | 'memory'
  | 'connections'
  | 'nonsense'
  | 'unread'
  | 'http'
  | 'http_slow'
  | 'http_nonsense';
