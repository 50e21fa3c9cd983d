/** `nodens doctor` on a healthy node, and on a node with each fault that it recognises. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import type { Facts, Finding } from '../../init/doctor/facts.ts';
import { V4, V6 } from '../support/cluster/plan.ts';
import { programs } from '../support/cluster/process/programs.ts';
import type { Ran } from '../support/cluster/process/run.ts';
import { until } from '../support/cluster/process/wait.ts';
import { type Site, startNodens } from '../support/cluster/site.ts';
import { describeSites, withSite } from '../support/netns/sites.ts';

interface Report {
  readonly findings: readonly Finding[];
  readonly facts: Facts;
}

/** Runs the built doctor on the node. */
async function run(
  site: Site,
  flags: readonly string[] = [],
  prefix: readonly string[] = [],
): Promise<Ran> {
  const { node, runDir } = site.cluster;
  const { node: program, nodens } = await programs(runDir);
  return node.run([...prefix, program, nodens, 'doctor', ...flags], { timeoutMs: 20_000 });
}

async function examined(site: Site, ...flags: string[]): Promise<[code: number, report: Report]> {
  const { code, stdout, stderr } = await run(site, ['--json', ...flags]);
  assert.notEqual(stdout, '', stderr);
  return [code, JSON.parse(stdout) as Report];
}

function line({ findings }: Report, id: string): Finding {
  const found = findings.find((finding) => finding.id === id);
  assert.ok(found !== undefined, id);
  return found;
}

const odd = ({ findings }: Report): string[] =>
  findings.filter(({ verdict }) => verdict !== 'ok').map(({ id, message }) => `${id}: ${message}`);

interface Damage {
  readonly what: string;
  readonly id: string;
  readonly verdict: Finding['verdict'];
  readonly flags?: (runDir: string) => string[];
  /** Breaks the node; resolves to a function that repairs it. */
  readonly harm: (site: Site) => Promise<() => Promise<unknown>>;
}

const nft =
  (script: string, undo: string) =>
  async ({ cluster }: Site) => {
    await cluster.node.must(['nft', '-f', '-'], { input: script });
    return () => cluster.node.must(['nft', '-f', '-'], { input: undo });
  };

/** Makes this file the resolv.conf of the node. */
const resolvers = (text: string): Pick<Damage, 'flags' | 'harm'> => ({
  flags: (runDir) => ['--resolvconf', `${runDir}/resolv.test`],
  harm: async ({ cluster }) => {
    writeFileSync(`${cluster.runDir}/resolv.test`, text);
    return async () => undefined;
  },
});

const DAMAGES: readonly Damage[] = [
  {
    ...{ what: 'a rule that drops DNS', id: 'foreign-rules', verdict: 'warn' },
    harm: nft(
      'table inet evil { chain c { type filter hook forward priority 0; udp dport 53 ip daddr 203.0.113.9 drop; }; }',
      'delete table inet evil',
    ),
  },
  {
    ...{ what: 'kube-dns out of reach over TCP', id: 'kube-dns', verdict: 'fail' },
    flags: () => ['--kubedns', V4.upstreamVip],
    harm: nft(
      `table inet block { chain c { type filter hook output priority 10; ip daddr { ${V4.backends.join(', ')} } tcp dport 53 reject with tcp reset; }; }`,
      'delete table inet block',
    ),
  },
  {
    ...{ what: 'no resolver that answers', id: 'resolvers', verdict: 'fail' },
    ...resolvers(`nameserver ${V4.backends[0].replace(/\d+$/, '99')}\n`),
  },
  { what: 'no resolver', id: 'resolv.conf', verdict: 'fail', ...resolvers('search a.test\n') },
  { what: 'a loop', id: 'loops', verdict: 'fail', ...resolvers(`nameserver ${V4.local}\n`) },
  {
    ...{ what: 'leftovers of node-local-dns', id: 'leftovers', verdict: 'warn' },
    harm: nft(
      'table inet peer { chain c { type filter hook prerouting priority raw; udp dport 53 ip daddr 10.96.0.10 notrack comment "NodeLocal DNS Cache: skip conntrack"; }; }',
      'delete table inet peer',
    ),
  },
];

const WALL = `table inet wall { chain in {
  type filter hook input priority 0; policy drop; iif "lo" accept; ct state established accept; }; }`;

describeSites('the doctor on a healthy node', (proxy) => {
  it('reports no fault, and after each damage reports it in the right line', () =>
    withSite(proxy, async (site) => {
      await startNodens(site);
      const [code, healthy] = await examined(site);
      assert.deepEqual(odd(healthy), []);
      assert.equal(code, 0);
      assert.deepEqual(healthy.facts.kubeDns, [V4.upstreamVip, V6.upstreamVip]);
      assert.deepEqual(healthy.facts.localIps.toSorted(), [V4.vip, V4.local].toSorted());
      for (const { what, id, verdict, flags, harm } of DAMAGES) {
        const mend = await harm(site);
        const [, report] = await examined(site, ...(flags?.(site.cluster.runDir) ?? []));
        const found = line(report, id);
        assert.equal(found.verdict, verdict, `${what}: ${found.message}`);
        assert.ok(found.remedy !== undefined, what);
        await mend();
      }
      assert.deepEqual(odd((await examined(site))[1]), []);
      assert.equal(line(healthy, 'kube-proxy').message, proxy === 'nft' ? 'nftables' : 'iptables');
    }));
});

describeSites('the doctor', () => {
  it('names the answering server after the agent was killed and init has withdrawn', () =>
    withSite('nft', async (site) => {
      const { agent, init } = await startNodens(site);
      await agent.stop('SIGKILL');
      await until('the doctor to report the fallback', async () => {
        const [, report] = await examined(site);
        return line(report, 'answers').verdict === 'warn';
      });
      const [code, report] = await examined(site);
      assert.equal(line(report, 'agent').verdict, 'warn');
      assert.match(line(report, 'answers').message, new RegExp(`${V4.vip}: another server`));
      assert.equal(line(report, 'queues').verdict, 'warn');
      assert.equal(line(report, 'interception').verdict, 'warn');
      assert.equal(code, 1);
      await init.stop();
      const { node } = site.cluster;
      await node.must(['nft', '-f', '-'], { input: WALL });
      assert.equal(line((await examined(site))[1], 'policies').verdict, 'fail');
      await node.must(['nft', 'delete table inet wall']);
      await site.nodens.cleanup();
      const [gone, cleaned] = await examined(site);
      assert.equal(gone, 2);
      assert.equal(line(cleaned, 'addresses').verdict, 'fail');
    }));

  it('names an agent that hangs, and when init trusts it again', () =>
    withSite('nft', async (site) => {
      const { agent } = await startNodens(site);
      const socket = `${site.cluster.runDir}/nodens/run/control.sock`;
      agent.signal('SIGSTOP');
      try {
        await until('the doctor to name it', async () => {
          const [, report] = await examined(site, '--socket', socket);
          const { verdict, message } = line(report, 'agent');
          return verdict === 'fail' && /^(hangs|hung).*trusts it again in \d+ s/s.test(message);
        });
      } finally {
        agent.signal('SIGCONT');
      }
    }));

  it('finds rules of iptables-nft, which nft lists without their comments', () =>
    withSite('iptables', async (site) => {
      await startNodens(site, '--backend', 'iptables');
      const [code, report] = await examined(site);
      assert.deepEqual(odd(report), []);
      assert.equal(code, 0);
      assert.match(line(report, 'interception').message, / by (nft and )?iptables-nft/);
    }));

  it('reports that the Corefile on disk is refused, while the previous one is served', () =>
    withSite('nft', async (site) => {
      await startNodens(site);
      const path = `${site.cluster.runDir}/nodens/coredns/Corefile.base`;
      const before = readFileSync(path, 'utf8');
      writeFileSync(path, `${before}\n. {\n  nonsense\n}\n`);
      const verdict = async (): Promise<string> =>
        line((await examined(site))[1], 'corefile').verdict;
      await until(
        'the doctor to report the refused Corefile',
        async () => (await verdict()) === 'fail',
      );
      assert.equal(line((await examined(site))[1], 'answers').verdict, 'ok');
      writeFileSync(path, before);
      await until('the node to be healthy again', async () => (await verdict()) === 'ok');
    }));

  it('creates no legacy tables, and names what it has no permission to read', () =>
    withSite('nft', async (site) => {
      const { node } = site.cluster;
      await startNodens(site);
      const tables = async (): Promise<string> =>
        (await node.run(['cat', '/proc/net/ip_tables_names'])).stdout;
      assert.equal(await tables(), '');
      assert.equal((await run(site)).code, 0);
      assert.equal(await tables(), '');
      const weak = ['setpriv', '--reuid=65532', '--regid=65532', '--clear-groups'];
      const { code, stdout } = await run(site, [], weak);
      assert.equal(code, 1, stdout);
      assert.match(stdout, /^\? +interception +not seen: netlink: .*not permitted/m);
      assert.match(stdout, /^ok +agent +answers on /m);
    }));
}, ['nft']);
