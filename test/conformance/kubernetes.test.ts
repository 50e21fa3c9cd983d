/** The agent as built with `kubernetes`, an API server and a kube-dns: answers, and what becomes of them in outages. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode } from 'dns-packet';
import { readExtendedError } from '../../agent/dns/edns.ts';
import { TYPE } from '../../agent/dns/iana.ts';
import { readRecords } from '../../agent/dns/records.ts';
import { freePort } from '../support/free-port.ts';
import { namespaceObject, serviceObject, sliceObject } from '../support/kubernetes/objects.ts';
import { ScriptedApi } from '../support/kubernetes/scripted-api.ts';
import type { ScriptedObject } from '../support/kubernetes/scripted-objects.ts';
import { eventually } from '../support/netns/netns.ts';
import { queryWire } from '../support/server/fixture.ts';
import { overUdp, stopped } from '../support/server/subject.ts';
import { type FakeServer, startServer } from '../support/upstream/server.ts';

const NODENS = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));
const BOUND_MS = 30_000;
const SERVICES = '/api/v1/services';
const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
const NAMESPACES = '/api/v1/namespaces';
const WEB = 'web.shop.svc.cluster.local';
/** What kube-dns answers to every name: no record of the API server has it. */
const FROM_KUBE_DNS = '192.0.2.99';

const object = (value: object): ScriptedObject => value as ScriptedObject;
const folder = mkdtempSync(join(tmpdir(), 'nodens-kubernetes-'));
after(() => rmSync(folder, { recursive: true }));

interface Site {
  readonly api: ScriptedApi;
  readonly apiPort: number;
  readonly kubeDns: FakeServer;
  /** `A 10.96.0.1`, `NXDOMAIN` or `SERVFAIL`, with the code of an extended error behind it. */
  ask(name: string): Promise<string>;
  output(): string;
  stop(): Promise<void>;
}

async function startSite(options: { readonly isApiDown?: boolean } = {}): Promise<Site> {
  const api = new ScriptedApi({ token: 'secret' });
  const apiPort = await freePort();
  if (options.isApiDown !== true) await api.listen(apiPort);
  const kubeDns = await startServer((asked) => asked.answer({ address: [192, 0, 2, 99] }));
  const port = await freePort();
  const path = join(folder, `Corefile-${port}`);
  writeFileSync(`${path}.kubeconfig`, kubeconfig(apiPort));
  writeFileSync(path, corefile(port, kubeDns.port, `${path}.kubeconfig`));
  const child = spawn(process.execPath, [NODENS, 'agent', '-conf', path]);
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await eventually('it serves', () => text.includes('"serving"'), BOUND_MS);
  return {
    ...{ api, apiPort, kubeDns, output: () => text },
    ask: async (name) =>
      lineOf(await overUdp({ host: '127.0.0.1', port }, queryWire(name, 7, 1_232))),
    stop: () => stopSite(child, api, kubeDns),
  };
}

async function stopSite(child: ChildProcess, api: ScriptedApi, kubeDns: FakeServer): Promise<void> {
  await stopped(child);
  await kubeDns.close();
  await api.close();
}

function kubeconfig(apiPort: number): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${apiPort}` } }],
    users: [{ name: 'test', user: { token: 'secret' } }],
  });
}

function corefile(port: number, upstreamPort: number, config: string): string {
  return `.:${port} {
  bind 127.0.0.1
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${config}
    max_age 15s
    ttl 0
  }
  forward . 127.0.0.1:${upstreamPort} {
    max_fails 0
  }
}
`;
}

function lineOf(response: Buffer | undefined): string {
  if (response === undefined) return 'no response';
  const { answers = [], rcode } = decode(response) as ReturnType<typeof decode> & { rcode: string };
  const lines = answers.map((one) =>
    'data' in one ? `${one.type} ${String(one.data)}` : one.type,
  );
  const opt = readRecords(response)?.find(({ type }) => type === TYPE.OPT);
  const error = opt && readExtendedError(response, opt.rdataStart, opt.rdataEnd);
  const line = rcode === 'NOERROR' ? lines.join(', ') || 'nodata' : rcode;
  return error === undefined ? line : `${line} (${error.code})`;
}

function fill(api: ScriptedApi): void {
  api.put(NAMESPACES, object(namespaceObject('shop')));
  api.put(SERVICES, object(serviceObject('shop/web', { ips: ['10.96.0.1'], ports: ['http:80'] })));
  api.put(SERVICES, object(serviceObject('shop/db', {})));
  api.put(SERVICES, object(serviceObject('shop/out', { externalName: 'example.org' })));
  api.put(SLICES, object(sliceObject('shop/db-1', 'db', ['db-0=10.0.0.1', '10.0.0.2'])));
}

const served = (site: Site, name: string, line: string): Promise<void> =>
  eventually(`${name} is ${line}`, async () => (await site.ask(name)) === line, BOUND_MS);

describe('kubernetes beside a healthy API server', () => {
  let site: Site;
  before(async () => {
    site = await startSite();
    fill(site.api);
    await served(site, 'db.shop.svc.cluster.local', 'A 10.0.0.1, A 10.0.0.2');
    await served(site, WEB, 'A 10.96.0.1');
  });
  after(() => site.stop());

  it('answers names of the cluster without kube-dns', async () => {
    const asked = site.kubeDns.seen.length;
    assert.equal(await site.ask('db-0.db.shop.svc.cluster.local'), 'A 10.0.0.1');
    assert.equal(await site.ask('nope.shop.svc.cluster.local'), 'NXDOMAIN');
    assert.equal(await site.ask('shop.svc.cluster.local'), 'nodata');
    assert.equal(site.kubeDns.seen.length, asked);
    assert.equal(await site.ask('example.org'), `A ${FROM_KUBE_DNS}`);
  });

  it('resolves an ExternalName through the chain', async () => {
    const line = `CNAME example.org, A ${FROM_KUBE_DNS}`;
    assert.equal(await site.ask('out.shop.svc.cluster.local'), line);
  });

  it('follows changes, and lists that lack an object', async () => {
    site.api.put(
      SERVICES,
      object(serviceObject('shop/web', { ips: ['10.96.0.2'], ports: ['http:80'] })),
    );
    await served(site, WEB, 'A 10.96.0.2');
    site.api.put(SLICES, object(sliceObject('shop/db-1', 'db', ['!10.0.0.1', '10.0.0.3'])));
    await served(site, 'db.shop.svc.cluster.local', 'A 10.0.0.3');
    site.api.replaceSilently(SLICES, []);
    site.api.compact(true);
    await served(site, 'db.shop.svc.cluster.local', 'NXDOMAIN');
  });

  it('falls back on kube-dns when the API server has been silent, and on old records without kube-dns', async () => {
    site.api.isFrozen = true;
    site.api.endWatches('reset');
    site.api.faults.push(...new Array<'silent'>(1_000).fill('silent'));
    await served(site, WEB, `A ${FROM_KUBE_DNS}`);
    site.kubeDns.script = (asked) => asked.answer({ rcode: 2 });
    assert.equal(await site.ask(WEB), 'A 10.96.0.2 (3)');
    assert.equal(await site.ask('nope.shop.svc.cluster.local'), 'NXDOMAIN (19)');
    site.kubeDns.script = () => undefined;
    assert.equal(await site.ask(WEB), 'A 10.96.0.2 (3)');
    site.api.faults.length = 0;
    site.api.isFrozen = false;
    await served(site, WEB, 'A 10.96.0.2');
  });
});

describe('kubernetes without an API server at the start', () => {
  it('serves by kube-dns, says so once, and catches up', async () => {
    const site = await startSite({ isApiDown: true });
    try {
      assert.equal(await site.ask(WEB), `A ${FROM_KUBE_DNS}`);
      const said = (): number => site.output().split('cannot watch services').length - 1;
      await eventually('it says so', () => said() > 0, BOUND_MS);
      fill(site.api);
      await site.api.listen(site.apiPort);
      await served(site, WEB, 'A 10.96.0.1');
      assert.equal(said(), 1);
    } finally {
      await site.stop();
    }
  });
});
