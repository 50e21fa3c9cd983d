/** One client socket, kept while interception is withdrawn, the agent dies and returns, with a query in flight each time: it always works. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { OneSocketClient } from '../../support/cluster/clients/clients.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { until } from '../../support/cluster/process/wait.ts';
import { PROXIES, type ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { type Running, type Site, startNodens } from '../../support/cluster/site.ts';
import { allowedMs } from '../../support/machine.ts';
import { queryRules, ROUNDS } from '../../support/netns/faults.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const ZONE = 'any.default.svc.cluster.local';
const ANSWER = 'NOERROR 10.96.9.9';
/** The retry interval of stub resolvers. */
const PATIENCE_MS = await allowedMs(2_000);

/** A client, and where it runs. */
interface Asker {
  readonly what: string;
  readonly client: OneSocketClient;
}

/** Queries that the agent (over TCP) or a client (over UDP) has sent to kube-dns, which does not read them. */
async function areHeld({ cluster }: Site, transport: 'tcp' | 'udp'): Promise<boolean> {
  const filter = transport === 'tcp' ? ['-Hnt', 'state', 'established'] : ['-Hnua'];
  const servers = cluster.namespaces.filter((netns) => netns !== cluster.node);
  const listed = await Promise.all(
    servers.map((netns) => netns.run(['ss', ...filter, 'sport = :53'])),
  );
  return listed.some(({ stdout }) =>
    stdout.split('\n').some((line) => /^(UNCONN\s+)?[1-9]/.test(line.trim())),
  );
}

/** Runs an event while all `askers` wait for kube-dns; each then gets its answer, or one to a retry. */
async function during(
  site: Site,
  askers: readonly Asker[],
  label: string,
  transport: 'tcp' | 'udp',
  event: () => Promise<unknown>,
): Promise<number> {
  const { kubeDns } = site.cluster;
  for (const dns of kubeDns) dns.freeze([transport]);
  const inFlight = askers.map(({ client }, i) => client.send(`${label}-${i}.${ZONE}`));
  await until(`queries to wait at kube-dns, ${label}`, () => areHeld(site, transport));
  await event();
  for (const dns of kubeDns) dns.thaw([transport]);
  const asked = await Promise.all(
    askers.map(async ({ what, client }, i) => {
      const answered = (): string | undefined => client.response(inFlight[i] as number);
      const late = await until('a late answer', answered, PATIENCE_MS).catch(() => undefined);
      if (late === ANSWER) return 0;
      const again = await client.ask(`${label}-${i}.${ZONE}`, PATIENCE_MS);
      assert.equal(again, ANSWER, `no answer to the retry: ${label} ${what}`);
      return 1;
    }),
  );
  for (const { what, client } of askers)
    for (const turn of [1, 2, 3]) {
      const name = `${label}-then-${turn}.${ZONE}`;
      assert.equal(
        await client.ask(name, PATIENCE_MS),
        ANSWER,
        `no answer after ${label} ${what}, ${turn}`,
      );
    }
  return asked.reduce<number>((sum, retries) => sum + retries, 0);
}

const rulesAre = (site: Site, there: boolean): Promise<boolean> =>
  until('the query rules', async () => (await queryRules(site)).length > 0 === there);

const kept = (proxy: ProxyKind): void => {
  it('pods and host get an answer after one retry at most, from VIP and link-local address', () =>
    withSite(proxy, async (site) => {
      const { pods, node } = site.cluster;
      let running: Running = await startNodens(site);
      const askers = [pods[0], node].flatMap((space) =>
        [V4.vip, V4.local].map((server) => ({
          what: `${space === node ? 'host' : 'pod'} to ${server}`,
          client: new OneSocketClient(space, server),
        })),
      );
      const comeBack = async (): Promise<void> => {
        running = await startNodens(site);
        await rulesAre(site, true);
      };
      try {
        for (const { what, client } of askers)
          assert.equal(await client.ask(`before.${ZONE}`, PATIENCE_MS), ANSWER, what);
        const retries: Record<string, number> = { withdrawal: 0, death: 0, return: 0 };
        const count = (what: string, more: number): void => {
          retries[what] = (retries[what] ?? 0) + more;
        };
        for (let round = 1; round <= ROUNDS; round++) {
          const withdraw = async (): Promise<void> => {
            running.agent.signal('SIGTERM');
            await rulesAre(site, false);
          };
          count('withdrawal', await during(site, askers, `term${round}`, 'tcp', withdraw));
          await Promise.all([running.agent.stop(), running.init.stop()]);
          count('return', await during(site, askers, `back${round}`, 'udp', comeBack));
          const die = async (): Promise<void> => {
            await running.agent.stop('SIGKILL');
            await rulesAre(site, false);
          };
          count('death', await during(site, askers, `kill${round}`, 'tcp', die));
          await running.init.stop('SIGKILL');
          count('return', await during(site, askers, `again${round}`, 'udp', comeBack));
        }
        process.stdout.write(
          `# one socket, ${proxy}: asked again ${JSON.stringify(retries)} of ${askers.length * ROUNDS} each, twice as many returns\n`,
        );
      } finally {
        for (const { client } of askers) await client.close();
      }
    }));
};

describeSites(
  'a socket that is kept',
  kept,
  ROUNDS > 1 ? PROXIES : ['nft'],
  300_000 + ROUNDS * 60_000,
);
