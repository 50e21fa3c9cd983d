/** A kubeconfig file, as far as a program without a user needs it. Loaded for the first one, with the YAML parser. */
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { ConfigError, messageOf } from '../base/errors.ts';
import type { KubeconfigFile } from '../config/corefile/api-access.ts';
import type { Files } from '../query/services/files.ts';
import { type ApiServer, urlOf } from './api-server.ts';
import { fixedSecret, type Secret, secretFile } from './secret.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What a user entry may have that nodens refuses, with the reason. */
const REFUSED_OF_USER: Readonly<Record<string, string>> = {
  exec: 'the agent starts no programs: use a token, a tokenFile or a client certificate',
  'auth-provider': 'Kubernetes has removed it: use a token, a tokenFile or a client certificate',
  username: 'Kubernetes has removed passwords: use a token, a tokenFile or a client certificate',
  password: 'Kubernetes has removed passwords: use a token, a tokenFile or a client certificate',
  as: 'nodens impersonates no other user: give it a user of its own',
  'as-groups': 'nodens impersonates no other user: give it a user of its own',
  'as-uid': 'nodens impersonates no other user: give it a user of its own',
};

/** What a cluster entry may have that nodens refuses, with the reason. */
const REFUSED_OF_CLUSTER: Readonly<Record<string, string>> = {
  'insecure-skip-tls-verify':
    'a token must not go to an unverified server: give certificate-authority instead',
  'proxy-url': 'nodens connects directly: remove it',
};

/** Throws ConfigError at the word of the Corefile that names the file or the context. */
export function readKubeconfig(
  { path, context }: KubeconfigFile,
  files: Pick<Files, 'read'>,
): ApiServer {
  const refused = (reason: string, place = path.place): ConfigError =>
    new ConfigError(place, `kubeconfig ${path.text}: ${reason}`);
  let config: Fields;
  try {
    config = fieldsOf(parse(files.read(path.text)));
  } catch (error) {
    throw refused(messageOf(error));
  }
  const wanted = context?.text ?? textOf(config['current-context']);
  if (wanted === '') throw refused('it has no current-context: name one after the file');
  const chosen = entry(config.contexts, wanted, 'context');
  if (chosen === undefined)
    throw refused(
      `no context "${wanted}": it has ${namesOf(config.contexts)}`,
      context?.place ?? path.place,
    );
  const find = (list: unknown, name: string, what: string): Fields => {
    const found = entry(list, name, what);
    if (found === undefined) throw refused(`context "${wanted}" names no ${what} of the file`);
    return found;
  };
  const cluster = find(config.clusters, textOf(chosen.cluster), 'cluster');
  const user = textOf(chosen.user) === '' ? {} : find(config.users, textOf(chosen.user), 'user');
  refuse(cluster, REFUSED_OF_CLUSTER, refused);
  refuse(user, REFUSED_OF_USER, refused);
  return serverOf(cluster, user, { path: path.text, files, refused });
}

interface Reading {
  readonly path: string;
  readonly files: Pick<Files, 'read'>;
  readonly refused: (reason: string) => ConfigError;
}

function serverOf(cluster: Fields, user: Fields, reading: Reading): ApiServer {
  const { refused } = reading;
  const server = textOf(cluster.server);
  if (!URL.canParse(server) || !/^https?:/.test(server))
    throw refused(`"${server}" is not the URL of an API server`);
  const cert = secretOf(user, 'client-certificate', reading);
  const key = secretOf(user, 'client-key', reading);
  if ((cert === undefined) !== (key === undefined))
    throw refused('client-certificate and client-key belong together: give both');
  const token = textOf(user.token);
  const tokenPath = textOf(user.tokenFile);
  return {
    url: urlOf(server),
    ...{ cert, key },
    ca: secretOf(cluster, 'certificate-authority', reading),
    // As with kubectl, the file wins.
    token:
      tokenPath !== '' ? fileOf(tokenPath, reading) : token !== '' ? fixedSecret(token) : undefined,
    serverName: textOf(cluster['tls-server-name']) || undefined,
  };
}

/** `name-data` is base64 and wins over `name`, a path that is relative to the kubeconfig, as with kubectl. */
function secretOf(fields: Fields, name: string, reading: Reading): Secret | undefined {
  const data = textOf(fields[`${name}-data`]);
  if (data !== '') {
    const text = Buffer.from(data, 'base64').toString('latin1').trim();
    if (!text.startsWith('-----BEGIN')) throw reading.refused(`${name}-data is no PEM in base64`);
    return fixedSecret(text);
  }
  const path = textOf(fields[name]);
  return path === '' ? undefined : fileOf(path, reading);
}

function fileOf(path: string, { path: kubeconfig, files, refused }: Reading): Secret {
  const absolute = resolve(dirname(kubeconfig), path);
  return secretFile(absolute, files, (reason) => refused(`${absolute} ${reason}`));
}

function refuse(
  fields: Fields,
  reasons: Readonly<Record<string, string>>,
  refused: (reason: string) => ConfigError,
): void {
  for (const [name, reason] of Object.entries(reasons)) {
    const value = fields[name];
    if (value !== undefined && value !== null && value !== false && value !== '')
      throw refused(`${name} is refused: ${reason}`);
  }
}

function entry(list: unknown, name: string, what: string): Fields | undefined {
  const found = entriesOf(list).find((one) => textOf(one.name) === name);
  return found === undefined ? undefined : fieldsOf(found[what]);
}

function namesOf(list: unknown): string {
  const names = entriesOf(list).map(({ name }) => textOf(name));
  return names.length === 0 ? 'none' : names.join(', ');
}

function entriesOf(list: unknown): readonly Fields[] {
  return Array.isArray(list) ? list.map(fieldsOf) : [];
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
