/** The agent has no free descriptors: it names the lack of resources, and does not count it against an upstream. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Reply, readReply } from '../../agent/dns/reply.ts';
import { type HostileAgent, type Ports, startAgent } from '../support/hostile/agent.ts';
import { RawClient } from '../support/hostile/raw-client.ts';
import { eventually } from '../support/netns/netns.ts';
import { queryWire } from '../support/server/fixture.ts';
import { overUdp } from '../support/server/subject.ts';

const LACKS = /no upstream was asked: this node lacks descriptors \(EMFILE\)/;
/** Enough for the agent, not enough for the connections of clients. */
const DESCRIPTORS = 64;
const ATTACKER = '127.0.0.1';

let asked = 0;

async function ask({ ports }: HostileAgent, name: string): Promise<Reply | undefined> {
  const target = { host: '127.0.0.1', port: ports.dns };
  const response = await overUdp(target, queryWire(name, asked++ & 0xffff, 1_232), 5_000);
  return response && readReply(response);
}

/** A new name. */
const fresh = (): string => `n${asked}.fresh.test`;

const isLack = (reply: Reply | undefined): boolean => LACKS.test(reply?.extended?.text ?? '');

const isGood = (reply: Reply | undefined): boolean =>
  reply?.rcode === 0 && reply.records.length === 1;

/** Counted failures of upstreams. */
async function blamed(agent: HostileAgent): Promise<unknown> {
  return {
    failures: await agent.metric('nodens_upstream_failures_total'),
    probes: await agent.metric('coredns_proxy_healthcheck_failures_total'),
    isSaidDown: agent.log().includes('is down'),
  };
}
const NOTHING = { failures: 0, probes: 0, isSaidDown: false };

function lackLines(agent: HostileAgent): Record<string, unknown>[] {
  const lines = agent.log().split('\n');
  return lines.filter((line) => line.includes('"local-lack"')).map((line) => JSON.parse(line));
}

/** Opens connections to every port of the agent, and reopens those that the agent closes, until `end`. */
async function takeDescriptors({ dns, metrics }: Ports, end: AbortSignal): Promise<void> {
  let held: RawClient[] = [];
  while (!end.aborted) {
    held = held.filter((each) => !each.isEnded);
    for (const port of [dns, metrics]) {
      for (let i = 0; i < DESCRIPTORS; i++) {
        const one = RawClient.open({ port, localAddress: ATTACKER });
        await one.then(
          (client) => void held.push(client),
          () => undefined,
        );
      }
    }
    await pause(100);
    // The test does not keep more than the agent can accept.
    for (const each of held.splice(0, Math.max(0, held.length - 6 * DESCRIPTORS))) each.close();
  }
  for (const each of held) each.close();
}

/** The agent's limit of descriptors: no more, or that of its start. */
function squeeze({ pid }: HostileAgent, soft: number): void {
  execFileSync('prlimit', [`--pid=${pid}`, `--nofile=${soft}:${DESCRIPTORS}`]);
}

const withStale = ({ dns, metrics, upstream }: Ports): string => `.:${dns} {
  bind 127.0.0.1
  errors
  reload 2s 1s
  cache {
    success 1024 1 1
    serve_stale 1h
  }
  prometheus 127.0.0.1:${metrics}
  health 127.0.0.1:${metrics}
  forward . 127.0.0.1:${upstream}
}
`;

describe(`an agent with a limit of ${DESCRIPTORS} descriptors`, () => {
  it('names the lack while clients use them all, counts no upstream failure, and serves when the clients have gone', async (t) => {
    const agent = await startAgent({ descriptors: DESCRIPTORS });
    t.after(() => agent.stop());
    const attack = new AbortController();
    const attacking = takeDescriptors(agent.ports, attack.signal);
    t.after(() => attack.abort());
    let failed = '';
    await eventually(
      'a query fails for the lack',
      async () => {
        const name = fresh();
        if (isLack(await ask(agent, name))) failed = name;
        return failed !== '';
      },
      60_000,
    );
    attack.abort();
    await attacking;
    await eventually('what failed is answered', async () => isGood(await ask(agent, failed)));
    await eventually('the endpoint is served', async () => {
      return (await agent.metric('nodens_local_lack_total', { what: 'descriptors' })) > 0;
    });
    assert.deepEqual(await blamed(agent), NOTHING);
    const [summary] = lackLines(agent);
    assert.deepEqual(
      [summary?.level, summary?.what, summary?.errno],
      ['error', 'descriptors', 'EMFILE'],
    );
    assert.match(String(summary?.remedy), /limit of open files/);
  });

  it('answers from the cache, even with stale entries, and postpones a reload', async (t) => {
    const agent = await startAgent({ descriptors: DESCRIPTORS, corefile: withStale });
    t.after(() => agent.stop());
    assert.ok(isGood(await ask(agent, 'kept.test')));
    // Its TTL is a second.
    await pause(1_500);
    squeeze(agent, 3);
    await eventually('the lack is reported', async () => isLack(await ask(agent, fresh())), 60_000);
    writeFileSync(agent.conf, `${readFileSync(agent.conf, 'utf8')}# changed\n`);
    process.kill(agent.pid, 'SIGUSR1');
    await eventually(
      'the reload is postponed',
      () => agent.log().includes('reload deferred'),
      60_000,
    );
    assert.ok(isGood(await ask(agent, 'kept.test')), 'a stale answer');
    squeeze(agent, DESCRIPTORS);
    await eventually(
      'the postponed reload has run',
      () => agent.log().includes('"reloaded"'),
      60_000,
    );
    assert.ok(isGood(await ask(agent, fresh())));
    assert.deepEqual(await blamed(agent), NOTHING);
    assert.deepEqual(
      [
        await agent.metric('nodens_config_valid'),
        await agent.metric('nodens_config_reloads_total', { result: 'failure' }),
        (await agent.metric('coredns_cache_served_stale_total')) > 0,
      ],
      [1, 0, true],
    );
    assert.equal(lackLines(agent).length, 1, 'once a minute');
  });
});
