import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { clientAt, Query, type Transport } from '../../../agent/query/query.ts';
import { Dispatcher } from '../../../agent/server/dispatch.ts';
import { Identity } from '../../../agent/server/identity.ts';
import { queryFor } from '../../support/dns/queries.ts';
import { RecordingLogger } from '../../support/services.ts';

const PROBE_PORTS = { first: 20_253, last: 20_260 };

function asked(
  listener: string,
  address: string,
  port: number,
  transport: Transport = 'udp',
): Query {
  const client = clientAt(address, port);
  const query = queryFor('Instance.NODENS', 'TXT', { class: CLASS.CH, transport, client });
  query.server = { index: 0, label: `dns://${listener}` };
  return query;
}

/** Text of the answer's record, or its rcode. */
function said(answer: Answer | undefined): string | number | undefined {
  const [record] = answer?.records ?? readRecords(answer?.wire ?? Buffer.alloc(12)) ?? [];
  if (record === undefined) return answer?.rcode;
  const { rdataStart, rdataEnd } = record;
  return answer?.wire.toString('latin1', rdataStart + 1, rdataEnd);
}

const LOCALS = [
  ['169.254.20.10:53', '169.254.20.10'],
  ['127.0.0.1:5353', '127.0.0.1'],
  ['[fd00::10]:53', 'fd00::10'],
  ['[fe80::1%eth0]:53', 'fe80::1'],
] as const;

describe('the nonce', () => {
  for (const [listener, address] of LOCALS) {
    for (const transport of ['udp', 'tcp'] as const) {
      it(`is sent to the probes of init from ${address} over ${transport}, and to no other program`, () => {
        const identity = new Identity();
        identity.probePorts = PROBE_PORTS;
        const from = (port: number) =>
          said(identity.answerTo(asked(listener, address, port, transport)));
        assert.equal(from(PROBE_PORTS.first), identity.nonce);
        assert.equal(from(PROBE_PORTS.last), identity.nonce);
        assert.equal(from(PROBE_PORTS.first - 1), 'nodens');
        assert.equal(from(PROBE_PORTS.last + 1), 'nodens');
      });
    }
  }

  for (const address of [
    '10.244.0.7',
    '169.254.20.11',
    '127.0.0.1',
    'fd00::7',
    '::ffff:169.254.20.10',
  ]) {
    it(`is refused to ${address}, from any port`, () => {
      const identity = new Identity();
      for (const probePorts of [undefined, PROBE_PORTS]) {
        identity.probePorts = probePorts;
        for (const port of [PROBE_PORTS.first, 40_000]) {
          const answer = identity.answerTo(asked('169.254.20.10:53', address, port));
          assert.deepEqual([said(answer), answer?.shareable], [RCODE.REFUSED, false]);
        }
      }
    });
  }

  it('is sent where the socket of a local IP belongs to a listener of every address', () => {
    const identity = new Identity();
    const query = asked(':53', '169.254.20.10', PROBE_PORTS.first);
    query.server = { ...query.server, family: 4, address: '169.254.20.10' };
    assert.equal(said(identity.answerTo(query)), identity.nonce);
    const pod = asked(':53', '10.244.0.7', PROBE_PORTS.first);
    pod.server = query.server;
    assert.equal(said(identity.answerTo(pod)), RCODE.REFUSED);
  });

  it('is sent to every port of the local IP until init has sent its port range', () => {
    const identity = new Identity();
    const answer = identity.answerTo(asked('169.254.20.10:53', '169.254.20.10', 40_000));
    assert.equal(said(answer), identity.nonce);
  });

  it('is not returned to a plugin', () => {
    const question = {
      ...{ name: nameFromText('instance.nodens'), type: TYPE.TXT, class: CLASS.CH },
      ...{
        dnssecOk: false,
        checkingDisabled: false,
        server: { index: 0, label: 'dns://127.0.0.1:53' },
      },
    };
    assert.equal(said(new Identity().answerTo(Query.internal(question, 0))), RCODE.REFUSED);
  });

  it('is not sent for other names, types and classes', () => {
    const identity = new Identity();
    for (const query of [
      queryFor('other.nodens', 'TXT', { class: CLASS.CH }),
      queryFor('instance.nodens', 'A', { class: CLASS.CH }),
      queryFor('instance.nodens', 'TXT'),
    ])
      assert.equal(identity.answerTo(query), undefined);
  });
});

describe('an observer', () => {
  it('sees the queries of clients, and none of the probes', () => {
    const log = new RecordingLogger();
    const dispatcher = new Dispatcher(log, { value: 0 });
    const seen: string[] = [];
    dispatcher.observer = {
      follow: (query, run) => {
        seen.push(query.nameText);
        return run(query);
      },
    };
    const probe = asked('127.0.0.1:53', '127.0.0.1', 40_000);
    assert.ok(typeof said(dispatcher.handle(probe) as Answer) === 'string');
    void dispatcher.handle(queryFor('web.test', 'A'));
    assert.deepEqual(seen, ['web.test.']);
  });
});
