/** Why the agent limited a client. */

/**
 * What a client was limited for: it had the most queries waiting, its connection made the agent hold the most, it had the
 * most connections, it sent what is no query over TCP, it left its answers unread. On HTTP ports: it had the most
 * connections or memory, it was slow to ask or to read, it sent what is not HTTP.
 */
export type Limited =
  | 'queries'
  | 'memory'
  | 'connections'
  | 'nonsense'
  | 'unread'
  | 'http'
  | 'http_slow'
  | 'http_nonsense';
