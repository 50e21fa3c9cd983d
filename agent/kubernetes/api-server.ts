/** An API server and how it is reached. */
import type { Secret } from './secret.ts';

/** An API server, and what the agent presents to it. Every secret is read again when it is used. */
export interface ApiServer {
  /** With the path below which the API is, without a slash at the end of it. */
  readonly url: URL;
  /** PEM; undefined: the CAs of the system. */
  readonly ca: Secret | undefined;
  /** The agent's own certificate and key, PEM. */
  readonly cert: Secret | undefined;
  readonly key: Secret | undefined;
  /** Sent as `Authorization: Bearer`. */
  readonly token: Secret | undefined;
  /** Name in the API server's certificate; undefined: the host of `url`. */
  readonly serverName: string | undefined;
}

/** The URL without slashes at the end of its path. */
export function urlOf(text: string): URL {
  const url = new URL(text);
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}
