/** JSON of the API server: what a watch itself reads of lists, events and objects. */
import type { ApiObject } from '../query/services/kubernetes.ts';
import { ApiError } from './errors.ts';

/** A list without its objects. */
export interface ListEnvelope {
  readonly metadata?: unknown;
}

/** One line of a watch: `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR. */
export interface WatchEvent {
  readonly type?: unknown;
  readonly object?: ApiObject;
}

/** Throws ApiError for anything but a JSON object. */
export function parsedObject(text: string): ApiObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError('the API server sent something that is not JSON');
  }
  if (typeof value === 'object' && value !== null) return value as ApiObject;
  throw new ApiError('the API server sent JSON that is no object');
}

/** `namespace/name`, or `name` for an object without a namespace; undefined for one without a name. */
export function keyOf(object: ApiObject): string | undefined {
  const { name, namespace } = fieldsOf(object.metadata);
  if (typeof name !== 'string' || name === '') return undefined;
  return typeof namespace === 'string' && namespace !== '' ? `${namespace}/${name}` : name;
}

/** The resource version in `metadata`. */
export function versionOf(metadata: unknown): string | undefined {
  const { resourceVersion } = fieldsOf(metadata);
  return typeof resourceVersion === 'string' && resourceVersion !== ''
    ? resourceVersion
    : undefined;
}

function fieldsOf(value: unknown): ApiObject {
  return typeof value === 'object' && value !== null ? (value as ApiObject) : {};
}
