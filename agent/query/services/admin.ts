/** Pages over HTTP, as plugins add them. */

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  /** In parts where it is long. Bytes are not copied, and must not change. */
  readonly body: string | Uint8Array | readonly Uint8Array[];
}

/** Answers one request; `params` is what stands behind the question mark. */
export type AdminHandler = (params: URLSearchParams) => AdminResponse | Promise<AdminResponse>;

/** Collects what this configuration wants served over HTTP; the listeners are reconciled when it takes over. */
export interface AdminRoutes {
  /** `address` is `host:port`, `:port` or `[v6]:port`. */
  add(address: string, path: string, handler: AdminHandler): void;
  /** Every series, at /metrics; under older names as well where one directive for this address wants them. */
  addMetrics(address: string, options: MetricsPageOptions): void;
}

export interface MetricsPageOptions {
  /** Also the names that CoreDNS has dropped (`observe/older-names.ts`). */
  readonly isOlder: boolean;
}
