/**
 * How many series a node of a usual cluster exports: the Corefile of the manifests, two local IPs of which the pods ask
 * one, both transports, every zone. A page has no series of what does not happen.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildQuery } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { freePort } from '../../support/free-port.ts';
import { scrape } from '../../support/metrics/observed.ts';
import { eventually } from '../../support/netns/netns.ts';
import { overTcp, overUdp, stopped } from '../../support/server/subject.ts';
import { type FakeServer, startServer } from '../../support/upstream/server.ts';

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const NODENS = path('../../../dist/agent/main.js');
const COREFILE = path('../../../manifests/base/Corefile');

const MAX_SERIES = 700;
const MAX_SERIES_WITH_OLDER = 900;
const MAX_PAGE_BYTES = 100_000;

/** Asked by the pods, and not. */
const LOCAL_IPS = ['127.0.0.20', '127.0.0.21'] as const;
const QUESTIONS: readonly (readonly [string, keyof typeof TYPE])[] = [
  ['a.default.svc.cluster.local', 'A'],
  ['a.default.svc.cluster.local', 'AAAA'],
  ['example.com.default.svc.cluster.local', 'A'],
  ['_http._tcp.a.default.svc.cluster.local', 'SRV'],
  ['1.0.0.10.in-addr.arpa', 'PTR'],
  ['1.0.0.0.ip6.arpa', 'PTR'],
  ['example.com', 'A'],
  ['example.com', 'AAAA'],
];

interface Ports {
  readonly dns: number;
  readonly metrics: number;
  readonly health: number;
  readonly kubeDns: number;
  readonly resolver: number;
}

/** The Corefile as init and agent fill it in, on other ports. */
function corefile({ dns, metrics, health, kubeDns, resolver }: Ports, isOlder: boolean): string {
  const older = isOlder ? ' {\n older_names\n }' : '';
  const values: Readonly<Record<string, string>> = {
    __PILLAR__LOCAL__DNS__: LOCAL_IPS.join(' '),
    __PILLAR__CLUSTER__DNS__: `127.0.0.1:${kubeDns}`,
    __PILLAR__UPSTREAM__SERVERS__: `127.0.0.1:${resolver}`,
    '{$CLUSTER_DOMAIN}': 'cluster.local',
    '{$AUTOPATH}': 'off',
    '{$CLUSTER_RECORDS}': 'off',
    'unix:/run/nodens/probe.sock': `127.0.0.1:${health}`,
    'prometheus :9253': `prometheus 127.0.0.1:${metrics}${older}`,
    ':53 ': `:${dns} `,
  };
  let text = readFileSync(COREFILE, 'utf8');
  for (const [from, to] of Object.entries(values)) text = text.replaceAll(from, to);
  return text;
}

function question(name: string, type: keyof typeof TYPE): Buffer {
  const fields = { name: nameFromText(name), type: TYPE[type], class: CLASS.IN };
  return buildQuery({ ...fields, id: 7, flags: FLAG.RD, dnssecOk: false, udpSizeBytes: 1_232 });
}

/** Everything twice over UDP, a miss and a hit, and once over TCP. */
async function askEverything(port: number): Promise<void> {
  const to = { host: LOCAL_IPS[0], port };
  for (const [name, type] of QUESTIONS) {
    const wire = question(name, type);
    await eventually(`${name} ${type} over UDP`, async () => {
      const first = await overUdp(to, wire, 500);
      return first !== undefined && (await overUdp(to, wire, 500)) !== undefined;
    });
    assert.ok(await overTcp(to, wire, 5_000), `${name} over TCP`);
  }
}

const cleanups: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function pageOf(isOlder: boolean): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-series-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const start = async (): Promise<FakeServer> => {
    const server = await startServer((asked) => {
      asked.answer(asked.head.type === TYPE.A ? { address: [192, 0, 2, 1] } : {});
    });
    cleanups.push(() => server.close());
    return server;
  };
  const [kubeDns, resolver] = [await start(), await start()];
  const [dns, metrics, health] = [await freePort(), await freePort(), await freePort()];
  const ports = { dns, metrics, health, kubeDns: kubeDns.port, resolver: resolver.port };
  const conf = join(folder, 'Corefile');
  writeFileSync(conf, corefile(ports, isOlder));
  const args = [NODENS, 'agent', '-conf', conf, '-quiet'];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: 'ignore' });
  cleanups.push(() => stopped(child));
  await askEverything(dns);
  return (await scrape(`127.0.0.1:${metrics}`)).text;
}

const seriesIn = (page: string): number =>
  page.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;

describe('the page of a usual node', () => {
  for (const [isOlder, max] of [
    [false, MAX_SERIES],
    [true, MAX_SERIES_WITH_OLDER],
  ] as const) {
    it(`has at most ${max} series ${isOlder ? 'with' : 'without'} older names`, async (t) => {
      const page = await pageOf(isOlder);
      const count = seriesIn(page);
      t.diagnostic(`${count} series, ${page.length} bytes`);
      assert.ok(count <= max, `${count} series`);
      // Both protocols, all zones: otherwise too few series prove nothing.
      for (const part of ['zone="ip6.arpa."', 'zone="cluster.local."', 'zone="."', 'proto="tcp"'])
        assert.ok(page.includes(part), part);
      assert.ok(page.length <= MAX_PAGE_BYTES, `${page.length} bytes`);
    });
  }
});
