/** Where an API server is and how the agent shows who it is: from a ServiceAccount, a kubeconfig or the Corefile. */
import { ConfigError } from '../base/errors.ts';
import type { ApiAccess, PlacedText } from '../config/corefile/api-access.ts';
import type { Files } from '../query/services/files.ts';
import { type ApiServer, urlOf } from './api-server.ts';
import { type Secret, secretFile } from './secret.ts';

/** Where access is read from. */
export interface AccessSource {
  readonly files: Pick<Files, 'read'>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Folder of a pod's own ServiceAccount. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Rejects with ConfigError for anything that is missing, unreadable or refused. */
export async function readApiServer(access: ApiAccess, source: AccessSource): Promise<ApiServer> {
  const { endpoint, tls, kubeconfig } = access;
  const base =
    kubeconfig !== undefined
      ? (await import('./kubeconfig.ts')).readKubeconfig(kubeconfig, source.files)
      : endpoint !== undefined
        ? serverAt(endpoint.text)
        : inCluster(access, source);
  return {
    ...base,
    ...(endpoint !== undefined && { url: urlOf(endpoint.text) }),
    ...(tls !== undefined && {
      ca: placedFile(tls.ca, source.files),
      cert: placedFile(tls.cert, source.files),
      key: placedFile(tls.key, source.files),
    }),
  };
}

function serverAt(url: string): ApiServer {
  const none = { ca: undefined, cert: undefined, key: undefined, token: undefined };
  return { url: urlOf(url), ...none, serverName: undefined };
}

function placedFile({ text, place }: PlacedText, files: Pick<Files, 'read'>): Secret {
  return secretFile(text, files, (reason) => new ConfigError(place, `"${text}" ${reason}`));
}

function inCluster({ place }: ApiAccess, { files, env }: AccessSource): ApiServer {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = env;
  if (host === '' || port === '')
    throw new ConfigError(
      place,
      'KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is unset, so this is not a pod with an API server: ' +
        'name one with "kubeconfig FILE" in braces',
    );
  const text = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (!URL.canParse(text))
    throw new ConfigError(place, `KUBERNETES_SERVICE_HOST and _PORT make no URL: "${text}"`);
  const file = (name: string): Secret => {
    const path = `${SERVICE_ACCOUNT}/${name}`;
    const fix =
      'mount the ServiceAccount token (automountServiceAccountToken: true; the kustomize components do), ' +
      'or name a kubeconfig with "kubeconfig FILE" in braces';
    return secretFile(path, files, (reason) => new ConfigError(place, `${path} ${reason}: ${fix}`));
  };
  return { ...serverAt(text), token: file('token'), ca: file('ca.crt') };
}
