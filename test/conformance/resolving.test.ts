/** What every cache in front of a resolver must do for its clients: the same cases for the subject and for other servers. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { decode } from 'dns-packet';
import { buildQuery } from '../../agent/dns/build.ts';
import { FLAG, flagsOf } from '../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../agent/dns/iana.ts';
import { nameFromText } from '../../agent/dns/name.ts';
import { readReply } from '../../agent/dns/reply.ts';
import {
  IDENTITY,
  overTcp,
  overUdp,
  PEERS,
  type Site,
  startSite,
  type Target,
} from '../support/server/subject.ts';

const run = promisify(execFile);
let site: Site;
before(async () => {
  site = await startSite();
});
after(() => site.stop());

interface Wanted {
  readonly type?: keyof typeof TYPE;
  readonly flags?: number;
  readonly udpSizeBytes?: number;
}

function query(name: string, { type = 'A', flags = FLAG.RD, udpSizeBytes }: Wanted = {}): Buffer {
  return buildQuery({
    ...{ name: nameFromText(name), type: TYPE[type], class: CLASS.IN, id: 99, flags },
    ...{ dnssecOk: false, udpSizeBytes },
  });
}

async function ask(target: Target, name: string, wanted?: Wanted): Promise<Buffer> {
  const response = await overUdp(target, query(name, wanted));
  assert.ok(response, `no answer for ${name}`);
  return response;
}

/** A peer is asked once more where no response came: dnsdist's upstream connections sometimes stall for seconds. */
async function askOverTcp(target: Target, wire: Buffer): Promise<Buffer | undefined> {
  const response = await overTcp(target, wire);
  return response ?? (target === site.subject ? undefined : overTcp(target, wire));
}

const ttl = (response: Buffer): number =>
  Math.min(...(readReply(response)?.records ?? []).map(({ ttlSeconds }) => ttlSeconds));

const rcode = (response: Buffer): number => flagsOf(response) & 0xf;

/** Owner, type and target of each answer, in their letter case. */
function spelt(response: Buffer): string[] {
  return (decode(response).answers ?? []).map(
    (answer) => `${answer.name} ${answer.type} ${'data' in answer ? String(answer.data) : ''}`,
  );
}

const TARGETS: Readonly<Record<string, () => Target>> = {
  'the subject': () => site.subject,
  ...Object.fromEntries(PEERS.map((name) => [name, () => site.peers[name]])),
};

for (const [name, target] of Object.entries(TARGETS)) {
  describe(name, () => {
    it('answers a hit with the remaining TTL, for an answer and a denial', async () => {
      for (const asked of ['many.conf.test', 'gone.conf.test']) {
        const first = ttl(await ask(target(), asked));
        await delay(1_100);
        const second = ttl(await ask(target(), asked));
        assert.ok(first - second >= 1 && first - second <= 2, `${asked}: ${first} → ${second}`);
      }
    });

    it('asks the upstream again when the TTL has expired', async () => {
      const first = ttl(await ask(target(), 'short.conf.test'));
      assert.ok(first <= 5, `${first}`);
      await delay(first * 1_000 + 1_100);
      assert.ok(ttl(await ask(target(), 'short.conf.test')) > 0);
    });

    it('sets TC if the answer does not fit over UDP, and sends all of it over TCP', async () => {
      for (const udpSizeBytes of [undefined, 512, 1_232]) {
        const wanted = { type: 'TXT', ...(udpSizeBytes && { udpSizeBytes }) } as const;
        const cut = await ask(target(), 'big.conf.test', wanted);
        assert.ok(flagsOf(cut) & FLAG.TC, `${udpSizeBytes}: TC`);
        assert.ok(cut.length <= (udpSizeBytes ?? 512), `${udpSizeBytes}: ${cut.length}`);
      }
      const whole = await askOverTcp(target(), query('big.conf.test', { type: 'TXT' }));
      assert.equal(readReply(whole as Buffer)?.records.length, 40);
    });

    it('has OPT in the response exactly if the query had it', async () => {
      for (const udpSizeBytes of [undefined, 1_232]) {
        const { additionals = [] } = decode(
          await ask(target(), 'a.conf.test', udpSizeBytes === undefined ? {} : { udpSizeBytes }),
        );
        assert.deepEqual(
          additionals.map(({ type }) => type),
          udpSizeBytes === undefined ? [] : ['OPT'],
        );
      }
    });

    it('keeps the letter case of the names in a chain of aliases', async () => {
      const upstream = await overTcp(site.upstream, query('start.chain.test'));
      const [first = '', ...rest] = spelt(upstream as Buffer);
      assert.equal(rest.length, 2, `${first} ${rest}`);
      for (const asked of ['start.chain.test', 'START.chain.test']) {
        const [own, ...others] = spelt(await ask(target(), asked));
        assert.equal(own?.toLowerCase(), first.toLowerCase());
        assert.deepEqual(others, rest);
      }
    });

    it('answers queries without RD from the cache', async () => {
      await ask(target(), 'a.conf.test');
      const response = await ask(target(), 'a.conf.test', { flags: 0 });
      assert.deepEqual([rcode(response), spelt(response)], [0, ['a.conf.test A 192.0.2.1']]);
    });

    it('sends its identity to a client that asks (NSID, CH)', async () => {
      const { host, port } = target();
      const at = [`@${host}`, '-p', String(port), '+tries=1', '+time=3'];
      const nsid = await run('dig', [...at, '+nsid', 'a.conf.test']);
      assert.match(nsid.stdout, new RegExp(`NSID: .*\\("${IDENTITY.node}"\\)`));
      // After the query with NSID: the agent must not reuse that response for a query without NSID.
      const plain = await run('dig', [...at, 'a.conf.test']);
      assert.doesNotMatch(plain.stdout, /NSID/);
      const version = await run('dig', [...at, 'CH', 'TXT', 'version.bind', '+short']);
      assert.equal(version.stdout.trim(), `"${IDENTITY.version}"`);
    });
  });
}
