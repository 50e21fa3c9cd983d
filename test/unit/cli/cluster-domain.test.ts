/** The agent beside an init, with a domain that kube-dns denies: it does not listen until kube-dns knows it, and logs why. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, it } from 'node:test';
import { RCODE } from '../../../agent/dns/iana.ts';
import { nameToText } from '../../../agent/dns/name.ts';
import { freePort } from '../../support/free-port.ts';
import { eventually } from '../../support/netns/netns.ts';
import { type FakeServer, startServer } from '../../support/upstream/server.ts';

const MAIN = new URL('../../../dist/agent/main.js', import.meta.url).pathname;

const folder = mkdtempSync(join(tmpdir(), 'nodens-domain-'));
after(() => rmSync(folder, { recursive: true }));

interface Site {
  /** Port of kube-dns, and of the agent. */
  readonly upstream: number;
  readonly dns: number;
  /** Where `/ready` is. */
  readonly page: string;
}

const confOf = ({ dns }: Site): string => join(folder, `Corefile.${dns}`);

/** Sets the Corefile of the agent: it serves `domain`. */
function configure(site: Site, domain: string): void {
  const block = `${domain}:${site.dns} {
bind 127.0.0.1
ready ${site.page}
reload 2s 1s
cache {
denial 9984 0
}
forward . 127.0.0.1:${site.upstream}
}\n`;
  writeFileSync(confOf(site), block);
}

/** Lines of an agent for `domain`, ended with the consumer. */
async function* agentLog(site: Site, domain: string, ...flags: string[]): AsyncGenerator<string> {
  configure(site, domain);
  const argv = [
    'agent',
    '-localip',
    '127.0.0.1',
    '-conf',
    confOf(site),
    '-basecorefile=',
    ...flags,
  ];
  const socket = ['-socket', join(folder, 'none.sock')];
  const child = spawn(process.execPath, [MAIN, ...argv, ...socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, KUBE_DNS_SERVICE_HOST: '127.0.0.1' },
  });
  const closed = once(child, 'close');
  try {
    yield* createInterface({ input: child.stdout });
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
}

/** Of an agent that may not have opened its pages yet. */
async function reasons(page: string): Promise<string> {
  let text: string | undefined;
  await eventually('the agent has pages', async () => {
    text = await fetch(`http://${page}/ready`).then(
      (response) => response.text(),
      () => undefined,
    );
    return text !== undefined;
  });
  return String(text);
}

/** A kube-dns that knows `kubernetes.default` in `domains`, and an agent that asks it, while `work` runs. */
async function withSite(
  work: (site: Site, domains: Set<string>, kubeDns: FakeServer) => Promise<void>,
): Promise<void> {
  const domains = new Set<string>();
  const kubeDns = await startServer((asked) => {
    const { name, nameLength } = asked.head;
    const text = nameToText(name.subarray(0, nameLength));
    const isKnown = [...domains].some((domain) => text.endsWith(`${domain}.`));
    asked.answer(isKnown ? { address: [10, 96, 0, 1] } : { rcode: RCODE.NXDOMAIN });
  });
  try {
    const site = {
      upstream: kubeDns.port,
      dns: await freePort(),
      page: `127.0.0.1:${await freePort()}`,
    };
    await work(site, domains, kubeDns);
  } finally {
    await kubeDns.close();
  }
}

const DENIED =
  /"level":"error".*NXDOMAIN for kubernetes\.default\.svc\.wrong\.test\.: the agent does not listen/;
const DENIED_SINCE =
  /"level":"error".*NXDOMAIN for kubernetes\.default\.svc\.wrong\.test\.: since the reload/;

it('refuses a domain that kube-dns denies, logs why, and serves it once kube-dns knows it', () =>
  withSite(async (site, domains) => {
    let denials = 0;
    for await (const line of agentLog(site, 'wrong.test')) {
      if (/"msg":"serving"/.test(line)) break;
      if (!line.includes('"event":"cluster-domain"')) continue;
      denials++;
      assert.match(line, DENIED);
      assert.equal(await reasons(site.page), 'cluster-domain,interception,listeners');
      domains.add('wrong.test');
    }
    assert.ok(denials > 0, 'it listened at once');
  }));

it('serves once the Corefile has the right domain', () =>
  withSite(async (site, domains) => {
    domains.add('right.test');
    let isReloaded = false;
    for await (const line of agentLog(site, 'wrong.test')) {
      if (/"msg":"serving"/.test(line)) break;
      if (/"msg":"reloaded"/.test(line)) isReloaded = true;
      if (DENIED.test(line)) configure(site, 'right.test');
    }
    assert.ok(isReloaded, 'it listened for the wrong one');
  }));

it('logs it where a reload adds a domain that kube-dns denies, and is not ready', () =>
  withSite(async (site, domains) => {
    domains.add('right.test');
    let isDenied = false;
    for await (const line of agentLog(site, 'right.test')) {
      if (/"msg":"serving"/.test(line)) configure(site, 'wrong.test');
      if (!DENIED_SINCE.test(line)) continue;
      isDenied = true;
      assert.match(await reasons(site.page), /^cluster-domain/);
      break;
    }
    assert.ok(isDenied);
  }));

it('does not check the domain where the cluster has no such Service', () =>
  withSite(async (site, _domains, kubeDns) => {
    for await (const line of agentLog(site, 'wrong.test', '-without-kubernetes-service')) {
      assert.doesNotMatch(line, /cluster-domain/);
      if (/"msg":"serving"/.test(line)) break;
    }
    assert.ok(kubeDns.seen.length > 0, 'the zone is asked for');
  }));
