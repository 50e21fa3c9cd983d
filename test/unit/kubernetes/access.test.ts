import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { ConfigError } from '../../../agent/base/errors.ts';
import type { ApiAccess } from '../../../agent/config/corefile/api-access.ts';
import { readApiServer } from '../../../agent/kubernetes/access.ts';
import { PODS, podNamed, watching } from '../../support/kubernetes/watching.ts';
import { fakeServices } from '../../support/services.ts';
import { Authority } from '../../support/upstream/certificates.ts';

const place = { file: '/etc/Corefile', line: 3 };
const elsewhere = { file: '/etc/Corefile', line: 5 };
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const IN_CLUSTER = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
const PEM = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----';

type Texts = Readonly<Record<string, string>>;

function target(access: Partial<ApiAccess>, texts: Texts = {}, env: Texts = {}) {
  const services = fakeServices();
  for (const [path, text] of Object.entries(texts)) services.texts.set(path, text);
  return readApiServer({ place, ...access }, { files: services.files, env });
}

const refused = (result: Promise<unknown>, reason: RegExp): Promise<void> =>
  assert.rejects(result, (error) => {
    assert.ok(error instanceof ConfigError, String(error));
    assert.match(error.message, reason);
    return true;
  });

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly current?: string;
}

/** JSON is YAML. */
const config = ({ cluster = {}, user = {}, current = 'lab' }: Parts = {}): string =>
  JSON.stringify({
    'current-context': current,
    contexts: [
      { name: 'lab', context: { cluster: 'one', user: 'me' } },
      { name: 'lost', context: { cluster: 'nowhere', user: 'me' } },
    ],
    clusters: [{ name: 'one', cluster: { server: 'https://192.0.2.1:6443/k8s/', ...cluster } }],
    users: [{ name: 'me', user: { token: 'abc', ...user } }],
  });
const from = (text: string, texts: Texts = {}, context?: string) =>
  target(
    {
      kubeconfig: {
        path: { text: '/etc/kube/config', place: elsewhere },
        context: context === undefined ? undefined : { text: context, place: elsewhere },
      },
    },
    { '/etc/kube/config': text, ...texts },
  );

describe('the ServiceAccount of the pod', () => {
  it('is the default', async () => {
    const texts = { [`${ACCOUNT}/token`]: 'tok\n', [`${ACCOUNT}/ca.crt`]: PEM };
    const found = await target({}, texts, IN_CLUSTER);
    assert.equal(found.url.href, 'https://10.96.0.1/');
    assert.deepEqual([found.token?.(), found.ca?.(), found.cert], ['tok', PEM, undefined]);
    const six = {
      ...IN_CLUSTER,
      KUBERNETES_SERVICE_HOST: 'fd00::1',
      KUBERNETES_SERVICE_PORT: '6443',
    };
    assert.equal((await target({}, texts, six)).url.host, '[fd00::1]:6443');
  });

  it('is refused without address, token or CA, with the fix', async () => {
    await refused(
      target({}),
      /^\/etc\/Corefile:3: KUBERNETES_SERVICE_HOST .* unset.*kubeconfig FILE/,
    );
    await refused(
      target({}, {}, IN_CLUSTER),
      /:3: .*serviceaccount\/token cannot be read.*automount/,
    );
    const token = { [`${ACCOUNT}/token`]: 'tok' };
    await refused(target({}, token, IN_CLUSTER), /:3: .*ca\.crt cannot be read/);
    const empty = { [`${ACCOUNT}/token`]: ' \n' };
    await refused(target({}, empty, IN_CLUSTER), /token is empty/);
  });
});

describe('endpoint and tls', () => {
  it('replace what kubeconfig says', async () => {
    const file = (text: string) => ({ text, place: elsewhere });
    const found = await target(
      {
        endpoint: file('http://127.0.0.1:8001'),
        tls: { cert: file('/c'), key: file('/k'), ca: file('/ca') },
        kubeconfig: { path: file('/config'), context: undefined },
      },
      { '/config': config(), '/c': 'C', '/k': 'K', '/ca': 'CA' },
    );
    assert.equal(found.url.href, 'http://127.0.0.1:8001/');
    assert.deepEqual([found.cert?.(), found.key?.(), found.ca?.()], ['C', 'K', 'CA']);
    assert.equal(found.token?.(), 'abc');
  });

  it('are refused at the file that is missing', async () => {
    const file = (text: string) => ({ text, place: elsewhere });
    await refused(
      target({
        endpoint: file('https://a'),
        tls: { cert: file('/c'), key: file('/k'), ca: file('/ca') },
      }),
      /^\/etc\/Corefile:5: "\/ca" cannot be read/,
    );
  });
});

describe('a kubeconfig', () => {
  it('gives address, CA, token and name of the server', async () => {
    const data = Buffer.from(PEM).toString('base64');
    const cluster = { 'certificate-authority-data': data, 'tls-server-name': 'api.lab' };
    const found = await from(config({ cluster }));
    assert.equal(found.url.href, 'https://192.0.2.1:6443/k8s');
    assert.deepEqual([found.ca?.(), found.token?.(), found.serverName], [PEM, 'abc', 'api.lab']);
  });

  it('names files relative to itself', async () => {
    const found = await from(
      config({
        cluster: { 'certificate-authority': 'ca.pem' },
        user: { tokenFile: '../token', 'client-certificate': '/c.pem', 'client-key': 'k.pem' },
      }),
      {
        '/etc/kube/ca.pem': 'CA',
        '/etc/token': 'from file',
        '/c.pem': 'C',
        '/etc/kube/k.pem': 'K',
      },
    );
    assert.deepEqual(
      [found.ca?.(), found.token?.(), found.cert?.(), found.key?.()],
      ['CA', 'from file', 'C', 'K'],
    );
  });

  it('is refused with file, line and reason', async () => {
    const at = /^\/etc\/Corefile:5: kubeconfig \/etc\/kube\/config: /;
    await refused(from(config(), {}, 'prod'), /no context "prod": it has lab, lost/);
    await refused(from(config({ current: '' })), /no current-context/);
    await refused(from(config({ current: 'lost' })), /"lost" names no cluster/);
    await refused(from('{ not: [yaml'), at);
    await refused(from('7'), /no current-context/);
    await refused(
      from(config({ cluster: { server: '192.0.2.1' } })),
      /not the URL of an API server/,
    );
    await refused(
      from(config({ cluster: { 'certificate-authority': 'none.pem' } })),
      /\/etc\/kube\/none\.pem cannot be read/,
    );
    await refused(from(config({ user: { 'client-key-data': 'MA==' } })), /no PEM in base64/);
    await refused(
      from(config({ user: { 'client-certificate': 'c' } }), { '/etc/kube/c': 'C' }),
      /belong together/,
    );
  });

  for (const [part, name, value] of [
    ['user', 'exec', { command: 'aws' }],
    ['user', 'auth-provider', { name: 'gcp' }],
    ['user', 'password', 'secret'],
    ['user', 'as', 'admin'],
    ['cluster', 'insecure-skip-tls-verify', true],
    ['cluster', 'proxy-url', 'http://proxy'],
  ] as const)
    it(`with ${name} is refused by name`, async () => {
      await refused(
        from(config({ [part]: { [name]: value } })),
        new RegExp(`${name} is refused: `),
      );
    });
});

describe('a connection with TLS', () => {
  let authority: Authority;
  let server: { readonly cert: string; readonly key: string };
  before(() => {
    authority = new Authority();
    const pair = authority.sign('IP:127.0.0.1');
    server = { cert: readFileSync(pair.cert, 'utf8'), key: readFileSync(pair.key, 'utf8') };
  });
  after(() => authority.remove());

  const attempt = async (ca: string, client?: { readonly cert: string; readonly key: string }) => {
    const found = await watching({
      tls: { ...server, clientCa: authority.pem },
      before: (api) => api.put(PODS, podNamed('a')),
      access: (url, { texts }) => {
        const cluster = { server: url, 'certificate-authority': '/ca' };
        texts.set('/ca', ca);
        if (client !== undefined)
          for (const [path, file] of [
            ['/c', client.cert],
            ['/k', client.key],
          ] as const)
            texts.set(path, readFileSync(file, 'utf8'));
        const own = client === undefined ? {} : { 'client-certificate': '/c', 'client-key': '/k' };
        texts.set('/config', config({ cluster, user: own }));
        return { place, kubeconfig: { path: { text: '/config', place }, context: undefined } };
      },
    });
    await found.until(
      'it syncs or fails',
      () => found.watch.state.isSynced || found.watch.state.failure !== undefined,
    );
    return found;
  };

  it('shows the certificate of the client, and checks that of the server', async () => {
    const { watch, close } = await attempt(authority.pem, authority.sign('DNS:client'));
    assert.deepEqual([watch.state.isSynced, watch.state.failure], [true, undefined]);
    await close();
  });

  it('fails without a certificate of its own', async () => {
    const { watch, close } = await attempt(authority.pem);
    assert.equal(watch.state.isSynced, false);
    await close();
  });

  it('fails with another CA, until the file has the right one', async () => {
    const other = new Authority();
    const found = await attempt(other.pem, authority.sign('DNS:client'));
    other.remove();
    assert.match(found.watch.state.failure ?? '', /certificate/);
    assert.equal(found.api.requests.length, 0, 'the token went to an unverified server');
    found.services.texts.set('/ca', authority.pem);
    await found.until('it syncs', () => found.watch.state.isSynced, 500);
    await found.close();
  });
});
