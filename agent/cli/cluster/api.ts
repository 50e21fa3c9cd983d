/** Reads lists of the Kubernetes API: with the token of a pod, a kubeconfig, or through kubectl. */
import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { ConfigError, messageOf, NodensError, UsageError } from '../../base/errors.ts';
import { systemFiles } from '../../config/files.ts';
import { readApiServer } from '../../kubernetes/access.ts';
import { ApiError } from '../../kubernetes/errors.ts';
import { ApiTransport } from '../../kubernetes/transport.ts';
import { VERSION } from '../version.ts';

/** GET of a path of the API: parsed JSON. Rejects with ApiError. */
export type ReadApi = (path: string) => Promise<object>;

/** Where the API server is, as flags say. */
export interface ClusterFlags {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Objects of one page: 2,000 pods at once would be 20 MB of JSON in one text. */
const PAGE = 250;
const KUBECTL_MS = 30_000;
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * By kubectl's order: the flag, KUBECONFIG, the pod's ServiceAccount, ~/.kube/config. Rejects with UsageError for a
 * kubeconfig that cannot be used; its users with `exec` work with `kubectl nodens`.
 */
export async function clusterApi({ kubeconfig, context, env }: ClusterFlags): Promise<ReadApi> {
  const chosen = kubeconfig ?? env.KUBECONFIG?.split(':').find((path) => path !== '');
  const isInPod = env.KUBERNETES_SERVICE_HOST !== undefined && context === undefined;
  const path = chosen ?? (isInPod ? undefined : join(homedir(), '.kube', 'config'));
  const place = { file: path ?? 'ServiceAccount', line: 1 };
  const placed = (text: string): { text: string; place: typeof place } => ({ text, place });
  const access =
    path === undefined
      ? { place }
      : {
          place,
          kubeconfig: {
            path: placed(path),
            context: context === undefined ? undefined : placed(context),
          },
        };
  try {
    const server = await readApiServer(access, { files: systemFiles, env });
    const transport = new ApiTransport(server, systemClock, `nodens/${VERSION} status`);
    return async (wanted) => parsed(await textOf(await transport.get(wanted)));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const reason = error.reason.replace('"kubeconfig FILE" in braces', '-kubeconfig FILE');
    throw new UsageError(
      `${reason}. kubectl nodens status reaches every cluster that kubectl does`,
    );
  }
}

/** By `kubectl get --raw`, with the flags of the user: for users that kubectl logs in with a program. */
export function kubectlApi(flags: readonly string[]): ReadApi {
  return (path) =>
    new Promise((resolve, reject) => {
      const options = { timeout: KUBECTL_MS, maxBuffer: MAX_BYTES };
      execFile('kubectl', [...flags, 'get', '--raw', path], options, (error, out, err) => {
        if (error === null) resolve(parsed(out));
        else {
          const text = err.trim() || messageOf(error);
          reject(new ApiError(text, /forbidden/i.test(text) ? 403 : 0));
        }
      });
    });
}

/** All objects of a collection that have these labels. Rejects with ApiError. */
export async function listed(api: ReadApi, path: string, selector: string): Promise<object[]> {
  const all: object[] = [];
  for (let next = ''; ; ) {
    const query = new URLSearchParams({ labelSelector: selector, limit: String(PAGE) });
    if (next !== '') query.set('continue', next);
    const page = (await api(`${path}?${query}`)) as {
      readonly items?: readonly object[];
      readonly metadata?: { readonly continue?: string };
    };
    all.push(...(page.items ?? []));
    next = page.metadata?.continue ?? '';
    if (next === '') return all;
  }
}

async function textOf(body: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    const part = Buffer.from(chunk as Buffer);
    bytes += part.length;
    if (bytes > MAX_BYTES) throw new ApiError(`an answer of more than ${MAX_BYTES} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // The error below says the same.
  }
  throw new NodensError('NODENS_API', 'what answers is no API server: no JSON object came');
}
