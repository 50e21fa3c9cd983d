/** The agent beside an init, with a domain that kube-dns denies: it does not listen before kube-dns knows it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, it } from 'node:test';
import { RCODE } from '../../../agent/dns/iana.ts';
import { freePort } from '../../support/free-port.ts';
import { startServer } from '../../support/upstream/server.ts';

const MAIN = new URL('../../../agent/main.ts', import.meta.url).pathname;

const folder = mkdtempSync(join(tmpdir(), 'nodens-domain-'));
after(() => rmSync(folder, { recursive: true }));

/** Lines of an agent for `wrong.test`, ended with the consumer. */
async function* agentLog(
  upstream: number,
  page: string,
  ...flags: string[]
): AsyncGenerator<string> {
  const conf = join(folder, `Corefile.${page}`);
  const blocks = `wrong.test:${await freePort()} {
bind 127.0.0.1
ready ${page}
cache {
denial 9984 0
}
forward . 127.0.0.1:${upstream}
}\n`;
  writeFileSync(conf, blocks);
  const argv = [MAIN, 'agent', '-localip', '127.0.0.1', '-conf', conf, '-basecorefile=', ...flags];
  const child = spawn(process.execPath, [...argv, '-socket', join(folder, 'none.sock')], {
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

async function reasons(page: string): Promise<string> {
  return (await fetch(`http://${page}/ready`)).text();
}

it('refuses a domain that kube-dns denies, says why, and serves it once kube-dns knows it', async () => {
  const kubeDns = await startServer((asked) => asked.answer({ rcode: RCODE.NXDOMAIN }));
  const page = `127.0.0.1:${await freePort()}`;
  const said: string[] = [];
  try {
    for await (const line of agentLog(kubeDns.port, page)) {
      if (/"msg":"serving"/.test(line)) break;
      if (!line.includes('"event":"cluster-domain"')) continue;
      said.push(line);
      assert.match(line, /"level":"error".*NXDOMAIN for kubernetes\.default\.svc\.wrong\.test\./);
      assert.equal(await reasons(page), 'cluster-domain,interception,listeners');
      kubeDns.script = (asked) => asked.answer({ address: [10, 96, 0, 1] });
    }
    assert.ok(said.length > 0, 'it listened at once');
  } finally {
    await kubeDns.close();
  }
});

it('does not ask where the cluster has no such Service', async () => {
  const kubeDns = await startServer((asked) => asked.answer({ rcode: RCODE.NXDOMAIN }));
  const page = `127.0.0.1:${await freePort()}`;
  try {
    for await (const line of agentLog(kubeDns.port, page, '-without-kubernetes-service')) {
      assert.doesNotMatch(line, /cluster-domain/);
      if (/"msg":"serving"/.test(line)) break;
    }
    assert.ok(kubeDns.seen.length > 0, 'the zone is asked for');
  } finally {
    await kubeDns.close();
  }
});
