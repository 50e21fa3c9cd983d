import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, DnsError } from '../../../../agent/base/errors.ts';
import { FLAG, flagsOf, idOf } from '../../../../agent/dns/header.ts';
import { RCODE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/dnstap/setup.ts';
import { madeAnswer } from '../../../../agent/query/answer.ts';
import { clientAt } from '../../../../agent/query/query.ts';
import type { FrameExportOptions } from '../../../../agent/query/services/exports.ts';
import type { UpstreamProtocol } from '../../../../agent/query/services/upstreams.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { CLIENT, queryFor } from '../../../support/dns/queries.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { readFields } from '../../../support/protobuf.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

function tapping(text: string) {
  const asked: FrameExportOptions[] = [];
  const base = fakeServices({ clock: new FakeClock(5_000) });
  const services: FakeServices = {
    ...base,
    exports: {
      ...base.exports,
      frames: (options) => {
        asked.push(options);
        return base.exports.frames(options);
      },
    },
  };
  const { directive, block } = parseDirective(text);
  const { handle, start, stop } = setup(directive, block, services);
  start?.();
  assert.ok(handle !== undefined);
  const messages = () =>
    base.frames.map((frame) => {
      const outer = readFields(Buffer.from(frame));
      return { outer, inner: readFields(outer.get(14)?.[0] as Buffer) };
    });
  return { handle, asked, messages, services, stop };
}

describe('dnstap', () => {
  it('sends query and response with all known fields', () => {
    const origin = '{\nidentity me\nversion 1.2\nextra more\n}';
    const { handle, messages } = tapping(`dnstap /run/x.sock full ${origin}`);
    const query = queryFor('www.example.org', 'A');
    query.arrivedMs = 4_999.5;
    const question = { name: query.name.slice(), type: query.type, class: query.class };
    const answer = madeAnswer(question, { rcode: RCODE.NXDOMAIN, flags: FLAG.RA }, 'x');
    assert.equal(
      handle(query, () => answer),
      answer,
    );
    const [first, second] = messages();
    assert.ok(first !== undefined && second !== undefined);
    for (const { outer, inner } of [first, second]) {
      assert.deepEqual(
        [1, 2, 3].map((field) => String(outer.get(field)?.[0])),
        ['me', '1.2', 'more'],
      );
      assert.deepEqual(outer.get(15), [1]);
      assert.deepEqual([inner.get(2), inner.get(3)], [[1], [1]]);
      assert.deepEqual(inner.get(4), [Buffer.from([10, 244, 0, 7])]);
      assert.deepEqual(inner.get(5), [Buffer.from([127, 0, 0, 1])]);
      assert.deepEqual([inner.get(6), inner.get(7)], [[CLIENT.port], [53]]);
      assert.deepEqual([inner.get(8), inner.get(9)], [[1_700_000_004], [999_500_000]]);
    }
    assert.deepEqual([first.inner.get(1), second.inner.get(1)], [[5], [6]]);
    assert.deepEqual(first.inner.get(10), [query.wire.subarray(0, query.length)]);
    assert.deepEqual([second.inner.get(12), second.inner.get(13)], [[1_700_000_005], [0]]);
    const response = second.inner.get(14)?.[0] as Buffer;
    assert.equal(idOf(response), 4_711);
    assert.equal(flagsOf(response), FLAG.QR | FLAG.RA | FLAG.RD | RCODE.NXDOMAIN);
    assert.equal(idOf(answer.wire), 0, 'the answer is shared');
  });

  it('omits messages unless full, and always the agent’s own queries', () => {
    const { handle, messages } = tapping('dnstap tcp://localhost');
    const query = queryFor('a', 'A', {
      ...{ transport: 'tcp', client: clientAt('fd00::7%eth0', 1) },
    });
    void handle(query, () =>
      madeAnswer(
        { ...query, name: query.name.slice(), type: 1, class: 1 },
        { rcode: 0, flags: 0 },
        'x',
      ),
    );
    const [{ inner } = assert.fail(), ...rest] = messages();
    assert.equal(rest.length, 1);
    assert.deepEqual([inner.get(2), inner.get(3), inner.get(10)], [[2], [2], undefined]);
    assert.equal(Buffer.from(inner.get(4)?.[0] as Buffer).length, 16);
    query.isInternal = true;
    assert.throws(() =>
      handle(query, () => {
        throw new DnsError(2, 'no');
      }),
    );
    assert.equal(messages().length, 2);
  });

  it('sends queries to upstreams and their responses, over each transport', () => {
    const { messages, services, stop } = tapping('dnstap /run/x.sock full');
    const [query, response] = [Buffer.from('query'), Buffer.from('response')];
    const forward = (address: string, protocol: UpstreamProtocol, answer?: Buffer): void =>
      services.taps.forwarded?.({
        ...{ upstream: { address, port: 853 }, protocol, sentMs: 4_990, response: answer },
        query: () => query,
      });
    forward('192.0.2.53', 'tls', response);
    for (const protocol of ['udp', 'tcp', 'https'] as const) forward('fd00::53', protocol);
    const [asked, answered, ...rest] = messages().map(({ inner }) => inner);
    for (const inner of [asked, answered]) {
      assert.deepEqual([inner?.get(2), inner?.get(3)], [[1], [3]]);
      assert.deepEqual(inner?.get(5), [Buffer.from([192, 0, 2, 53])]);
      assert.deepEqual(
        [inner?.get(4), inner?.get(6), inner?.get(7)],
        [undefined, undefined, [853]],
      );
      assert.deepEqual([inner?.get(8), inner?.get(9)], [[1_700_000_004], [990_000_000]]);
    }
    assert.deepEqual([asked?.get(1), asked?.get(10), asked?.get(14)], [[7], [query], undefined]);
    assert.deepEqual([answered?.get(1), answered?.get(14)], [[8], [response]]);
    assert.deepEqual(answered?.get(12), [1_700_000_005]);
    assert.deepEqual(
      rest.map((inner) => [inner.get(1), inner.get(2), inner.get(3)]),
      [1, 2, 4].map((protocol) => [[7], [2], [protocol]]),
    );
    stop?.();
    forward('192.0.2.53', 'udp', response);
    assert.equal(messages().length, 5, 'nothing is sent after the end');
  });

  it('omits the messages of upstreams unless full', () => {
    const { messages, services } = tapping('dnstap /run/x.sock');
    services.taps.forwarded?.({
      ...{ upstream: { address: '192.0.2.53', port: 53 }, protocol: 'udp', sentMs: 5_000 },
      query: () => assert.fail('nothing needs it'),
      response: Buffer.from('response'),
    });
    for (const { inner } of messages())
      assert.deepEqual([inner.get(10), inner.get(14)], [undefined, undefined]);
    assert.equal(messages().length, 2);
  });

  it('reads the destination and the size of the buffer', () => {
    const target = (text: string) => tapping(`dnstap ${text}`).asked[0]?.target;
    assert.deepEqual(target('/a'), { kind: 'unix', path: '/a' });
    assert.deepEqual(target('unix:///a'), { kind: 'unix', path: '/a' });
    assert.deepEqual(target('tcp://h:1'), { kind: 'tcp', host: 'h', port: 1 });
    assert.deepEqual(target('tcp://[::1]'), { kind: 'tcp', host: '::1', port: 6_000 });
    const tls = { kind: 'tls', host: 'tap.test', port: 6_001, isVerified: true };
    assert.deepEqual(target('tls://tap.test:6001'), tls);
    assert.deepEqual(target('tls://[::1] {\nskipverify\n}'), {
      ...{ kind: 'tls', host: '::1', port: 6_000, isVerified: false },
    });
    const sizes = (text: string) =>
      tapping(text).asked.map(({ maxBytes, maxFrames }) => [maxBytes / 1_048_576, maxFrames]);
    assert.deepEqual(sizes('dnstap /a'), [[1, 10_000]]);
    assert.deepEqual(sizes('dnstap /a full 8 2\ndnstap /b 4'), [
      [8, 20_000],
      [4, 10_000],
    ]);
  });

  it('accepts a relative path, with a warning', () => {
    const services = fakeServices();
    setUp(setup, 'dnstap tap.sock', services);
    assert.match(services.log.records[0]?.message ?? '', /tap\.sock: taken as a path relative/);
  });

  for (const text of [
    '',
    'unix://',
    'quic://a',
    'tls://',
    'tcp://a:0',
    '/a 0',
    '/a 1 4097',
    '/a 1 1 1',
    '/a {\nno\n}',
  ])
    it(`refused: ${text}`, () => assert.throws(() => tapping(`dnstap ${text}`), ConfigError));
});
