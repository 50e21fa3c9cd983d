import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { proveUpstreams, zonesToProve } from '../../../agent/daemon/self-test.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameToText } from '../../../agent/dns/name.ts';
import { madeAnswer } from '../../../agent/query/answer.ts';
import type { InternalQuestion } from '../../../agent/query/query.ts';
import { parseText } from '../../support/corefiles/parse.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { RecordingLogger } from '../../support/services.ts';

const SERVER = { index: 0, label: 'dns://169.254.20.10:53' };

describe('zonesToProve', () => {
  it('are those of the cluster where there are any', () => {
    const text = 'cluster.local {\nforward . 10.96.0.11\n}\n. {\nforward . 192.0.2.1\n}\n';
    assert.deepEqual(zonesToProve(parseText(text)), ['cluster.local.']);
  });

  it('are all that is forwarded where there are none', () => {
    assert.deepEqual(zonesToProve(parseText('. {\nforward . 192.0.2.1\n}\n')), ['.']);
  });

  it('are none where nothing is forwarded', () => {
    assert.deepEqual(zonesToProve(parseText('. {\nwhoami\n}\n')), []);
  });
});

/** Runs the proof against upstreams that give `rcodes`, by the number of questions so far. */
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
  const parts = { resolve, servers: [SERVER], clock, log, isStopping: () => isStopping };
  void proveUpstreams(zones, parts).then(() => {
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

describe('proveUpstreams', () => {
  it('ends with the first good answer', async () => {
    const { asked, isDone, log } = await prove(['cluster.local.'], () => RCODE.NOERROR, 3);
    assert.equal(isDone, true);
    assert.deepEqual(asked, ['cluster.local. SOA']);
    assert.deepEqual(log.records, []);
  });

  it('takes NXDOMAIN for an answer: somebody is there', async () => {
    const { isDone } = await prove(['a.example.'], () => RCODE.NXDOMAIN, 1);
    assert.equal(isDone, true);
  });

  for (const rcode of [RCODE.SERVFAIL, RCODE.REFUSED]) {
    it(`goes on asking, and says so, while the rcode is ${rcode}`, async () => {
      const { asked, isDone, log } = await prove(['.'], () => rcode, 3);
      assert.equal(isDone, false);
      assert.ok(asked.length >= 3);
      assert.match(log.records[0]?.message ?? '', /not listening, kube-dns serves the node/);
    });
  }

  it('ends when the upstream comes up', async () => {
    const up = (_zone: string, asked: number) => (asked < 3 ? RCODE.SERVFAIL : RCODE.NOERROR);
    const { asked, isDone } = await prove(['.'], up, 4);
    assert.equal(isDone, true);
    assert.equal(asked.length, 3);
  });

  it('is content with one zone of several', async () => {
    const one = (zone: string) => (zone === 'b.' ? RCODE.NOERROR : RCODE.SERVFAIL);
    const { isDone } = await prove(['a.', 'b.'], one, 1);
    assert.equal(isDone, true);
  });

  it('asks nothing where nothing is forwarded', async () => {
    const { asked, isDone } = await prove([], () => RCODE.SERVFAIL, 1);
    assert.equal(isDone, true);
    assert.deepEqual(asked, []);
  });
});
