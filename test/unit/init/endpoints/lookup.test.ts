import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostRecord } from '../../../../agent/dns/client/host-records.ts';
import { NoAnswerError, type Reply } from '../../../../init/endpoints/ask.ts';
import { type Found, lookUp } from '../../../../init/endpoints/lookup.ts';

const SERVICE = 'dns-pods.kube-system.svc.cluster.local';
const UDP = `_dns._udp.${SERVICE} SRV`;
const TCP = `_dns-tcp._tcp.${SERVICE} SRV`;

interface Said {
  readonly answers?: readonly Omit<HostRecord, 'section'>[];
  readonly additionals?: readonly Omit<HostRecord, 'section'>[];
}

type Zone = Readonly<Record<string, Said>>;

const srv = (target: string, port: number, ttlSeconds = 30): Omit<HostRecord, 'section'> => ({
  ...{ name: 'asked', ttlSeconds },
  data: { target, port },
});
const address = (name: string, text: string, ttlSeconds = 30): Omit<HostRecord, 'section'> => ({
  ...{ name, ttlSeconds },
  data: { address: text },
});

async function found(zone: Zone, excluded: string[] = []): Promise<Found & { asked: string[] }> {
  const asked: string[] = [];
  const ask = async (name: string, type: string): Promise<Reply> => {
    asked.push(`${name} ${type}`);
    const { answers = [], additionals = [] } = zone[`${name} ${type}`] ?? {};
    const records = [
      ...answers.map((record) => ({ ...record, section: 'answer' as const })),
      ...additionals.map((record) => ({ ...record, section: 'additional' as const })),
    ];
    return { rcode: records.length === 0 ? 3 : 0, records };
  };
  return { ...(await lookUp(ask, { service: SERVICE, excluded })), asked };
}

const at = (...texts: string[]) =>
  texts.map((text) => {
    const [where = '', port] = text.split(' ');
    return { address: where, port: Number(port) };
  });

describe('endpoints of a headless Service', () => {
  it('have port and target address of each SRV record, sorted, without duplicates', async () => {
    const additionals = [
      address('b', '10.2.0.3', 7),
      address('a', '10.2.0.2'),
      address('a', 'fd02::2'),
    ];
    const both = { answers: [srv('b', 1053), srv('a', 53), srv('b', 1053)], additionals };
    const { endpoints, ttlSeconds, reason, asked } = await found({
      [UDP]: both,
      [TCP]: { answers: [srv('a', 5353)], additionals },
    });
    assert.deepEqual(endpoints.udp, at('10.2.0.2 53', '10.2.0.3 1053', 'fd02::2 53'));
    assert.deepEqual(endpoints.tcp, at('10.2.0.2 5353', 'fd02::2 5353'));
    assert.deepEqual([ttlSeconds, reason, asked.length], [7, undefined, 2]);
  });

  it('are found by A and AAAA queries if the answer has no addresses', async () => {
    const { endpoints, asked } = await found({
      [UDP]: { answers: [srv('a', 1053), srv('not a host', 53)] },
      'a A': { answers: [address('a', '10.2.0.2')] },
      'a AAAA': { answers: [address('a', 'fd02::2')] },
    });
    assert.deepEqual(endpoints.udp, at('10.2.0.2 1053', 'fd02::2 1053'));
    assert.deepEqual(asked.slice(0, 3), [UDP, 'a A', 'a AAAA']);
  });

  it('have port 53 without an SRV record', async () => {
    const { endpoints } = await found({
      [TCP]: { answers: [srv('a', 1053)], additionals: [address('a', '10.2.0.2')] },
      [`${SERVICE} A`]: { answers: [address(SERVICE, '10.2.0.2')] },
    });
    assert.deepEqual(endpoints, { udp: at('10.2.0.2 53'), tcp: at('10.2.0.2 1053') });
  });

  it('are none, with TTL 0, if the Service does not exist or no pod is ready', async () => {
    const { asked: _, ...rest } = await found({ [UDP]: {} });
    const reason = `${SERVICE} has no endpoints`;
    assert.deepEqual(rest, { endpoints: { udp: [], tcp: [] }, ttlSeconds: 0, reason });
  });

  it('are none if the Service has a ClusterIP: its SRV target is the Service itself', async () => {
    const answer = { answers: [srv(SERVICE, 53)], additionals: [address(SERVICE, '10.96.0.10')] };
    const { endpoints, reason } = await found({ [UDP]: answer, [TCP]: answer });
    assert.deepEqual(endpoints, { udp: [], tcp: [] });
    assert.match(reason ?? '', /is a Service with a ClusterIP/);
  });

  it('are only pods: no ClusterIP, no address of the node, no port 0', async () => {
    const wrong = [
      '127.0.0.1',
      '0.0.0.0',
      '169.254.20.10',
      '224.0.0.1',
      '255.255.255.255',
      '10.96.0.10',
    ];
    const wrong6 = ['::', '::1', '::ffff:10.2.0.2', 'fe80::1', 'ff02::1', 'fd00::10'];
    const additionals = [...wrong, ...wrong6].map((text) => address('a', text));
    const { endpoints } = await found(
      {
        [UDP]: {
          answers: [srv('a', 53), srv('b', 0)],
          additionals: [...additionals, address('b', '10.2.0.2')],
        },
      },
      ['10.96.0.10', 'fd00::10'],
    );
    assert.deepEqual(endpoints, { udp: [], tcp: [] });
  });

  it('are at most 32, and the number of queries is bounded', async () => {
    const many = Array.from({ length: 300 }, (_, i) => srv(`p${i}`, 53));
    const additionals = many.map((_, i) => address(`p${i}`, `10.2.${i >> 8}.${i & 0xff}`));
    assert.equal((await found({ [UDP]: { answers: many, additionals } })).endpoints.udp.length, 32);
    const { asked } = await found({ [UDP]: { answers: many } });
    assert.ok(asked.length < 100, `${asked.length} questions`);
  });

  it('are unknown if no server answers', async () => {
    const silent = () => Promise.reject(new NoAnswerError(SERVICE, []));
    await assert.rejects(lookUp(silent, { service: SERVICE, excluded: [] }), NoAnswerError);
  });
});
