/** nodens as built, on loopback, with a Corefile and questions that change each of its series. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildQuery, buildResponse } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../agent/dns/name.ts';
import { freePort } from '../free-port.ts';
import { eventually } from '../netns/netns.ts';
import { overTcp, overUdp, stopped } from '../server/subject.ts';
import { type Asked, type FakeServer, startServer } from '../upstream/server.ts';
import { type PageFamily, parsePage } from './page.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
type TypeName = keyof typeof TYPE;

const HOST = '127.0.0.1';

export interface Observed {
  /** `host:port` of the Corefile's `prometheus` and of the command line's metrics address. */
  readonly addresses: readonly [string, string];
  /** Asks every kind of question once; takes less than half a second. */
  round(): Promise<void>;
  /** Writes a Corefile that cannot be served. */
  breakCorefile(): void;
  stop(): Promise<void>;
}

interface Ports {
  readonly dns: number;
  readonly upstream: number;
  readonly closed: number;
  readonly metrics: number;
  readonly health: number;
}

function corefile(ports: Ports, hosts: string, isOlder: boolean): string {
  const shared = `bind ${HOST}\n  errors\n  prometheus ${HOST}:${ports.metrics}`;
  // One of the blocks with the same address enables older names.
  const older = `${shared} {\n    older_names\n  }`;
  const good = `forward . ${HOST}:${ports.upstream}`;
  return `.:${ports.dns} {
  ${isOlder ? older : shared}
  reload 2s 1s
  health ${HOST}:${ports.health}
  acl {
    block type NS
    filter type MX
    drop type HINFO
  }
  local
  template IN A made.test {
    answer "{{ .Name }} 60 IN A 192.0.2.9"
  }
  template IN A broken.test {
    answer "{{ index .Match 7 }} 60 IN A 192.0.2.9"
  }
  template IN A odd.test {
    answer "{{ .Name }} 60 IN A {{ .Type }}"
  }
  cache {
    success 1000 2 1
    denial 1000 2 1
    prefetch 1 1m 90%
    serve_stale 1h immediate
  }
  hosts ${hosts} {
    fallthrough
  }
  ${good}
}
little.test:${ports.dns} {
  ${shared}
  cache {
    success 1
  }
  ${good}
}
six.test:${ports.dns} {
  ${shared}
  dns64 {
    allow_ipv4
  }
  ${good}
}
busy.test:${ports.dns} {
  ${shared}
  # In the middle of a bucket: the 99th percentile does not hang on a tick.
  cancel 1500ms
  ${good} {
    max_concurrent 1
  }
}
down.test:${ports.dns} {
  ${shared}
  forward . ${HOST}:${ports.closed} {
    health_check 100ms
  }
}
`;
}

/** Addresses for A, no reply for `slow`, SERVFAIL for `fail`, NXDOMAIN with its SOA for `none`, nothing else. */
function upstream(asked: Asked): void {
  const { head } = asked;
  const name = head.name.slice(0, head.nameLength);
  const text = nameToText(name);
  if (text.startsWith('slow')) return;
  if (text.startsWith('fail')) asked.answer({ rcode: RCODE.SERVFAIL });
  else if (text.startsWith('none')) deny(asked, name);
  else asked.answer(head.type === TYPE.A ? { address: [192, 0, 2, 1] } : {});
}

function deny(asked: Asked, name: Uint8Array): void {
  const { head } = asked;
  const soa = { type: TYPE.SOA, ttlSeconds: 60, rdata: Buffer.alloc(22) };
  const question = { name, type: head.type, class: head.class };
  const fields = { rcode: RCODE.NXDOMAIN, flags: FLAG.RA | FLAG.RD, authority: [soa] };
  const wire = buildResponse(question, fields);
  wire.set(asked.message.subarray(0, 2));
  asked.raw(wire);
}

function question(name: string, type: TypeName, dnssecOk = false): Buffer {
  return buildQuery({
    ...{ name: nameFromText(name), type: TYPE[type], class: CLASS.IN, id: 7, flags: FLAG.RD },
    ...{ dnssecOk, udpSizeBytes: dnssecOk ? 1_232 : undefined },
  });
}

/** Longer than a hit takes, shorter than the timeout of a client. */
const WAIT_MS = 150;

/** A name asked only in every twelfth round has expired in between, and is stale. */
const RARE_ROUNDS = 12;

async function askEverything(port: number, round: number): Promise<void> {
  const to = { host: HOST, port };
  const names: readonly (readonly [string, TypeName])[] = [
    ...(['A', 'AAAA', 'NS', 'MX', 'HINFO'] as const).map((type) => ['a.test', type] as const),
    ...[
      'none.test',
      'fail1.test',
      'fail2.test',
      'fail3.test',
      'localhost.test',
      'made.test',
      'broken.test',
      'odd.test',
      'h.test',
    ].map((name) => [name, 'A'] as const),
    ...['a.little.test', 'b.little.test', 'a.down.test'].map((name) => [name, 'A'] as const),
    ...['slow1.busy.test', 'slow2.busy.test'].map((name) => [name, 'A'] as const),
    ['a.six.test', 'AAAA'],
    [round % RARE_ROUNDS === 0 ? 'rare.test' : 'a.test', 'A'],
  ];
  await Promise.all([
    ...names.map(([name, type]) => overUdp(to, question(name, type), WAIT_MS)),
    overUdp(to, question('a.test', 'A', true), WAIT_MS),
    overTcp(to, question('a.test', 'A'), WAIT_MS),
  ]);
}

/** Starts upstream and nodens, with `isOlder` showing older metric names too; resolves when it answers. */
export async function startObserved(isOlder: boolean): Promise<Observed> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-observed-'));
  const server: FakeServer = await startServer(upstream);
  const [dns, closed, metrics, health, second] = await Promise.all([
    ...[freePort(), freePort(), freePort(), freePort(), freePort()],
  ]);
  const ports = { dns, closed, metrics, health, upstream: server.port } as Ports;
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, '192.0.2.7 h.test\n');
  const conf = join(folder, 'Corefile');
  writeFileSync(conf, corefile(ports, hosts, isOlder));
  const args = [NODENS, 'agent', '-conf', conf, '-metrics-listen-address', `${HOST}:${second}`];
  // Of an init that never comes: the series of interception are there.
  args.push('-socket', `${conf}.control`);
  const child: ChildProcess = spawn(process.execPath, args, { stdio: 'ignore' });
  const addresses = [`${HOST}:${metrics}`, `${HOST}:${second}`] as const;
  const stop = async (): Promise<void> => {
    await stopped(child);
    await server.close();
    rmSync(folder, { recursive: true });
  };
  try {
    await eventually('nodens answers', async () => {
      const response = await overUdp({ host: HOST, port: ports.dns }, question('a.test', 'A'), 200);
      return response !== undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  let rounds = 0;
  return {
    addresses,
    round: () => askEverything(ports.dns, rounds++),
    breakCorefile: () => writeFileSync(conf, 'here is {\n no such thing\n'),
    stop,
  };
}

/** The page as text and parsed. */
export async function scrape(
  address: string,
): Promise<{ text: string; families: ReadonlyMap<string, PageFamily> }> {
  const text = await (await fetch(`http://${address}/metrics`)).text();
  return { text, families: parsePage(text) };
}
