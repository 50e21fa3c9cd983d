/** HTTP endpoints, as plugins add them. */

/** A whole HTTP response; `contentType` is the value of its Content-Type header. */
export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  /** In parts if it is long. The bytes are not copied and must not change. */
  readonly body: string | Uint8Array | readonly Uint8Array[];
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers one request; `params` is the query string, `host` and `accept` are headers of the client. */
export type AdminHandler = (
  params: URLSearchParams,
  host?: string,
  accept?: string,
) => AdminResponse | Promise<AdminResponse>;

/** Collects the HTTP endpoints of this configuration; the listeners are reconciled when it takes over. */
export interface AdminRoutes {
  /** `address` is `host:port`, `:port` or `[v6]:port`. */
  add(address: string, path: string, handler: AdminHandler): void;
  /** Every series, at /metrics; under older names as well if one directive for this address asks for them. */
  addMetrics(address: string, options: MetricsPageOptions): void;
  /** The status page, at /. */
  addStatus(address: string): void;
}

/** What one `prometheus` directive asks of the page at its address. */
export interface MetricsPageOptions {
  /** Also the names that CoreDNS has dropped (`observe/metrics/legacy-names.ts`). */
  readonly isOlder: boolean;
}
