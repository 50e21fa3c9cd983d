/** Objects, events and faults of the scripted API server. */

export interface ScriptedObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string };
  readonly [field: string]: unknown;
}

export interface ScriptedEvent {
  readonly path: string;
  readonly version: number;
  readonly type: string;
  readonly object: object;
}

/** What a request gets instead of its answer; `silent` leaves the connection open without a byte. */
export type Fault =
  | { readonly status: number; readonly retryAfterSeconds?: number; readonly message?: string }
  | 'silent'
  | 'reset'
  | 'half a list';

export interface ScriptedApiOptions {
  /** PEM; without it the server speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  /** A bearer token that requests need. */
  readonly token?: string;
  /** Largest page of a list, whatever the client asks for. */
  readonly pageObjects?: number;
  /** Bodies are written in pieces of this many bytes. */
  readonly pieceBytes?: number;
  /** Events that are kept for watches that resume; all by default. Versions before them are gone. */
  readonly keptEvents?: number;
}

export function keyOf({ metadata: { namespace = '', name } }: ScriptedObject): string {
  return `${namespace}/${name}`;
}

export function versioned(object: ScriptedObject, version: number): ScriptedObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } as never };
}

/** `spec.nodeName=X` only. */
export function isSelected(object: object, selector: string | undefined): boolean {
  const wanted = selector === undefined ? undefined : /^spec\.nodeName=(.*)$/.exec(selector)?.[1];
  if (wanted === undefined) return true;
  const { spec, kind } = object as { spec?: { nodeName?: string }; kind?: string };
  return kind === 'Bookmark' || spec?.nodeName === wanted;
}
