import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AGENT_EVENTS } from '../../../agent/base/events/table.ts';
import { waitForUpstreams, zonesToProve } from '../../../agent/daemon/self-test.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameToText } from '../../../agent/dns/name.ts';
import { madeAnswer } from '../../../agent/query/answer.ts';
import type { InternalQuestion } from '../../../agent/query/query.ts';
import { parseText } from '../../support/corefiles/parse.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { RecordingLogger } from '../../support/services.ts';

const SERVER = { index: 0, label: 'dns://169.254.20.10:53' };

describe('zonesToProve', () => {
  it('are the zones of the cluster where there are any', () => {
    const text = 'cluster.local {\nforward . 10.96.0.11\n}\n. {\nforward . 192.0.2.1\n}\n';
    assert.deepEqual(zonesToProve(parseText(text)), ['cluster.local.']);
  });

  it('are all forwarded zones where there are no cluster zones', () => {
    assert.deepEqual(zonesToProve(parseText('. {\nforward . 192.0.2.1\n}\n')), ['.']);
  });

  it('are none where nothing is forwarded', () => {
    assert.deepEqual(zonesToProve(parseText('. {\nwhoami\n}\n')), []);
  });
});

/** Runs the proof against upstreams that answer with `rcodes`, by the number of questions so far. */
async function prove(
  zones: readonly string[],
  rcodeFor: (zone: string, asked: number) => number,
  rounds: number,
): Promise<{ asked: string[]; isDone: boolean; log: RecordingLogger; stop: () => void }> {
  const clock = new FakeClock();
  const log = new RecordingLogger();
  const asked: string[] = [];
  let isStopping = false;
  let isDone = false;
  const resolve = (question: InternalQuestion) => {
    const zone = nameToText(question.name);
    asked.push(`${zone} ${question.type === TYPE.SOA ? 'SOA' : question.type}`);
    const response = { rcode: rcodeFor(zone, asked.length), flags: 0 };
    return Promise.resolve(madeAnswer({ ...question, class: 1 }, response, ''));
  };
  const parts = {
    ...{ resolve, servers: [SERVER], clock, log, isStopping: () => isStopping },
    ...{
      domains: [],
      isRestored: false,
      isServing: false,
      onDenied: () => assert.fail('no domain, no denial'),
    },
  };
  void waitForUpstreams(zones, parts).then(() => {
    isDone = true;
  });
  for (let round = 0; round < rounds; round++) await clock.advance(1_100);
  return {
    asked,
    isDone,
    log,
    stop: () => {
      isStopping = true;
    },
  };
}

describe('waitForUpstreams', () => {
  it('ends with the first good answer', async () => {
    const { asked, isDone, log } = await prove(['cluster.local.'], () => RCODE.NOERROR, 3);
    assert.equal(isDone, true);
    assert.deepEqual(asked, ['cluster.local. SOA']);
    assert.deepEqual(log.records, []);
  });

  it('accepts NXDOMAIN as an answer: a server is there', async () => {
    const { isDone } = await prove(['a.example.'], () => RCODE.NXDOMAIN, 1);
    assert.equal(isDone, true);
  });

  for (const rcode of [RCODE.SERVFAIL, RCODE.REFUSED]) {
    it(`continues to ask, and logs it, while the rcode is ${rcode}`, async () => {
      const { asked, isDone, log } = await prove(['.'], () => rcode, 3);
      assert.equal(isDone, false);
      assert.ok(asked.length >= 3);
      assert.match(
        log.records[0]?.message ?? '',
        /the agent does not listen, kube-dns serves the node/,
      );
    });
  }

  it('ends when the upstream comes up', async () => {
    const up = (_zone: string, asked: number) => (asked < 3 ? RCODE.SERVFAIL : RCODE.NOERROR);
    const { asked, isDone } = await prove(['.'], up, 4);
    assert.equal(isDone, true);
    assert.equal(asked.length, 3);
  });

  it('succeeds with one zone of several', async () => {
    const one = (zone: string) => (zone === 'b.' ? RCODE.NOERROR : RCODE.SERVFAIL);
    const { isDone } = await prove(['a.', 'b.'], one, 1);
    assert.equal(isDone, true);
  });

  it('sends no query where nothing is forwarded', async () => {
    const { asked, isDone } = await prove([], () => RCODE.SERVFAIL, 1);
    assert.equal(isDone, true);
    assert.deepEqual(asked, []);
  });
});

/** Rcodes of the Service by round, the last for all later rounds; zones answer. Advances `clock` itself until the proof ends. */
async function proveDomain(
  says: readonly Readonly<Record<string, number>>[],
  {
    isRestored = false,
    isServing = false,
    domains = ['a.test.'],
    zone = RCODE.NOERROR as number,
  } = {},
): Promise<{ isDone: boolean; denials: boolean[]; log: RecordingLogger; asked: string[] }> {
  const clock = new FakeClock();
  const log = new RecordingLogger();
  const denials: boolean[] = [];
  const asked: string[] = [];
  const rounds = new Map<string, number>();
  let isDone = false;
  const resolve = (question: InternalQuestion) => {
    const name = nameToText(question.name);
    asked.push(
      `${name} ${question.type === TYPE.A ? 'A' : question.type} ${question.checkingDisabled}`,
    );
    const domain = /^kubernetes\.default\.svc\.(.*)$/.exec(name)?.[1];
    const round = rounds.get(name) ?? 0;
    rounds.set(name, round + 1);
    const rcode = domain === undefined ? zone : says[Math.min(round, says.length - 1)]?.[domain];
    if (rcode === undefined) return new Promise<never>(() => undefined);
    return Promise.resolve(madeAnswer({ ...question, class: 1 }, { rcode, flags: 0 }, ''));
  };
  void waitForUpstreams(['a.test.'], {
    ...{ resolve, servers: [SERVER], clock, log, domains, isRestored, isServing },
    ...{ isStopping: () => false, onDenied: (isDenied) => denials.push(isDenied) },
  }).then(() => {
    isDone = true;
  });
  for (let round = 0; round < says.length; round++) await clock.advance(1_100);
  return { isDone, denials, log, asked };
}

const [THERE, DENIED, FAILED] = [RCODE.NOERROR, RCODE.NXDOMAIN, RCODE.SERVFAIL];

describe('the domain of the cluster', () => {
  it('is proved by the Service that every cluster has', async () => {
    const { isDone, asked, log } = await proveDomain([{ 'a.test.': THERE }]);
    assert.equal(isDone, true);
    assert.ok(asked.includes('kubernetes.default.svc.a.test. A true'), 'not from the snapshot');
    assert.deepEqual(log.records, []);
  });

  it('is refused while kube-dns denies that Service, with the reason', async () => {
    const denied = { 'a.test.': DENIED };
    const { isDone, denials, log } = await proveDomain([denied, denied, denied]);
    assert.equal(isDone, false);
    assert.deepEqual(denials, [true]);
    const [record] = log.records;
    assert.equal(record?.level, 'error');
    assert.match(
      record?.message ?? '',
      /^NXDOMAIN for kubernetes\.default\.svc\.a\.test\.: the agent does not list/,
    );
    assert.equal(record?.fields.event, 'cluster-domain');
    const { remedy } = AGENT_EVENTS['cluster-domain'];
    assert.match(remedy, /CLUSTER_DOMAIN.*-without-kubernetes-service/);
  });

  it('denied since a reload, is logged once', async () => {
    const denied = { 'a.test.': DENIED };
    const serving = { isRestored: true, isServing: true };
    const { denials, log } = await proveDomain([denied, denied, { 'a.test.': THERE }], serving);
    assert.deepEqual(denials, [true, false]);
    assert.match(log.records[0]?.message ?? '', /since the reload, names .* are denied/);
  });

  it('once denied, must be confirmed: silence of kube-dns proves nothing', async () => {
    const denied = { 'a.test.': DENIED };
    const still = await proveDomain([denied, { 'a.test.': FAILED }]);
    assert.equal(still.isDone, false);
    const mended = await proveDomain([denied, { 'a.test.': FAILED }, { 'a.test.': THERE }]);
    assert.equal(mended.isDone, true);
    assert.deepEqual(mended.denials, [true, false]);
  });

  it('is one of several: another that kube-dns serves has no Services', async () => {
    const domains = ['a.test.', 'b.test.'];
    const said = { 'a.test.': DENIED, 'b.test.': THERE };
    const { isDone, denials } = await proveDomain([said], { domains });
    assert.deepEqual([isDone, denials], [true, []]);
  });

  it('is not known where the Service fails: then any answered zone suffices', async () => {
    const said = [{ 'a.test.': FAILED }, { 'a.test.': FAILED }];
    assert.equal((await proveDomain(said)).isDone, true);
    assert.equal((await proveDomain(said, { zone: FAILED })).isDone, false);
  });

  it('is asked for once, without waiting, where the snapshot restored answers', async () => {
    const restored = { isRestored: true, zone: FAILED };
    assert.equal((await proveDomain([{ 'a.test.': FAILED }], restored)).isDone, true);
    assert.equal((await proveDomain([{}], restored)).isDone, true, 'not done within a second');
    const denied = await proveDomain([{ 'a.test.': DENIED }, { 'a.test.': FAILED }], restored);
    assert.deepEqual([denied.isDone, denied.denials], [false, [true]]);
    const none = await proveDomain([{}], { ...restored, domains: [] });
    assert.deepEqual([none.isDone, none.asked], [true, []]);
  });
});
