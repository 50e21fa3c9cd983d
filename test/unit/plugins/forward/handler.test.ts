import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientKey } from '../../../../agent/base/clients/client-key.ts';
import { DnsError, GAVE_WAY } from '../../../../agent/base/errors.ts';
import { buildQuery, buildResponse } from '../../../../agent/dns/build.ts';
import { FLAG, flagsOf } from '../../../../agent/dns/header.ts';
import { EDE, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../../agent/dns/name.ts';
import { readQueryHead } from '../../../../agent/dns/query-head.ts';
import { readReply } from '../../../../agent/dns/reply.ts';
import { type Forwarder, forwardHandler } from '../../../../agent/plugins/forward/handler.ts';
import { Answer } from '../../../../agent/query/answer.ts';
import { clientAt, Query } from '../../../../agent/query/query.ts';
import type {
  UpstreamGroup,
  UpstreamQuestion,
  UpstreamReply,
} from '../../../../agent/query/services/upstreams.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const ELSEWHERE = new Answer({
  wire: Buffer.alloc(12),
  ttlOffsets: [],
  rcode: 0,
  plugin: 'next',
});

interface Upstream extends Forwarder {
  readonly asked: { question: UpstreamQuestion; budgetMs: number }[];
}

/** A forward line whose upstream answers everything with `rcode`, and NOERROR with one A record unless `empty`. */
function upstream(
  from: string,
  fields: Partial<Forwarder> & { rcode?: number; empty?: boolean } = {},
): Upstream {
  const { rcode = RCODE.NOERROR, empty = false, ...rest } = fields;
  const asked: Upstream['asked'] = [];
  const exchange = (question: UpstreamQuestion, budgetMs: number): Promise<UpstreamReply> => {
    asked.push({ question, budgetMs });
    const answer = [{ type: TYPE.A, ttlSeconds: 60, rdata: Uint8Array.of(192, 0, 2, 1) }];
    const flags = FLAG.RA | FLAG.AA;
    const body = rcode === 0 && !empty ? { rcode, flags, answer } : { rcode, flags };
    const reply = readReply(buildResponse(question, body));
    assert.ok(reply);
    // The upper bits of a rcode were in the OPT.
    return Promise.resolve({
      reply: { ...reply, rcode },
      upstream: `${from}:53`,
      transport: 'udp',
    });
  };
  return {
    from: nameFromText(from),
    except: [],
    nextRcodes: new Set(),
    nextOnNoData: false,
    group: () => ({ admits: () => true, exchange, release: () => undefined }),
    ...rest,
    asked,
  };
}

const clock = new FakeClock();
const BUFFER = Buffer.alloc(512);

/** A query in a buffer that will be used again. */
function query(name: string, transport: 'udp' | 'tcp' = 'udp'): Query {
  const wire = buildQuery({
    id: 7,
    flags: FLAG.RD | FLAG.CD,
    name: nameFromText(name),
    type: TYPE.A,
    class: 1,
    dnssecOk: true,
    udpSizeBytes: 1232,
  });
  wire.copy(BUFFER);
  const made = new Query();
  assert.equal(readQueryHead(BUFFER, wire.length, made.head), 0);
  const client = clientAt('192.0.2.9', 4242);
  made.receive(
    BUFFER,
    wire.length,
    transport,
    { index: 0, label: '' },
    clock.nowMs(),
    () => client,
  );
  return made;
}

const NO_TAPS = { forwarded: undefined };

const ask = async (forwarders: readonly Forwarder[], name: string): Promise<Answer> =>
  forwardHandler(forwarders, clock, NO_TAPS)(query(name), () => ELSEWHERE);

test('a client without room to wait is told so at once, and no upstream is asked', () => {
  const asked: string[] = [];
  const only = upstream('.');
  const group = (): UpstreamGroup => ({
    ...only.group(),
    admits: (key) => {
      asked.push(key);
      return false;
    },
  });
  const answer = forwardHandler(
    [{ ...only, group }],
    clock,
    NO_TAPS,
  )(query('www.example.org.'), () => ELSEWHERE);
  assert.ok(answer instanceof Answer);
  assert.equal(answer.rcode, RCODE.SERVFAIL);
  assert.equal(answer.extended, GAVE_WAY.extended);
  assert.equal(answer.shareable, false);
  assert.deepEqual(asked, [clientKey('192.0.2.9')]);
  assert.deepEqual(only.asked, []);
});

test('sends a query of its own within the remaining time, and clears AA', async () => {
  const only = upstream('.');
  const asked = query('www.example.org.', 'tcp');
  await clock.advance(1_000);
  const pending = forwardHandler([only], clock, NO_TAPS)(asked, () => ELSEWHERE);
  const answer = await pending;
  const [{ question, budgetMs }] = only.asked as [Upstream['asked'][0]];
  assert.equal(nameToText(question.name), 'www.example.org.');
  const { name: _, ...rest } = question;
  assert.deepEqual(rest, {
    type: TYPE.A,
    class: 1,
    recursionDesired: true,
    checkingDisabled: true,
    dnssecOk: true,
    options: undefined,
    clientTransport: 'tcp',
    clientKey: clientKey('192.0.2.9'),
    tap: undefined,
  });
  assert.equal(budgetMs, 3_000);
  assert.equal(flagsOf(answer.wire) & FLAG.AA, 0);
  assert.deepEqual(
    [answer.plugin, answer.bornMs, answer.ttlOffsets.length],
    ['forward', clock.nowMs(), 1],
  );
});

test('the first forward that matches the name is asked; except leaves a name to the following ones', async () => {
  const special = upstream('example.org.', { except: [nameFromText('lab.example.org.')] });
  const rest = upstream('.', { except: [nameFromText('invalid.')] });
  const lines = [special, rest];
  await ask(lines, 'www.example.org.');
  assert.deepEqual([special.asked.length, rest.asked.length], [1, 0]);
  await ask(lines, 'a.lab.example.org.');
  await ask(lines, 'notexample.org.');
  assert.deepEqual([special.asked.length, rest.asked.length], [1, 2]);
  assert.equal(await ask(lines, 'x.invalid.'), ELSEWHERE);
});

test('next: on these rcodes the following forward is asked, if there is one', async () => {
  const nextRcodes = new Set<number>([RCODE.NXDOMAIN]);
  const first = upstream('.', { rcode: RCODE.NXDOMAIN, nextRcodes });
  const second = upstream('.');
  assert.equal((await ask([first, second], 'a.example.')).rcode, RCODE.NOERROR);
  assert.equal((await ask([first], 'a.example.')).rcode, RCODE.NXDOMAIN);
  const elsewhere = upstream('other.');
  assert.equal((await ask([first, elsewhere], 'a.example.')).rcode, RCODE.NXDOMAIN);
});

test('next_on_nodata: an empty NOERROR is passed on, a full one is not', async () => {
  const second = upstream('.');
  await ask([upstream('.', { nextOnNoData: true }), second], 'a.example.');
  assert.equal(second.asked.length, 0);
  await ask([upstream('.', { nextOnNoData: true, empty: true }), second], 'a.example.');
  assert.equal(second.asked.length, 1);
});

test('rcodes about the hop to the upstream do not reach clients', async () => {
  for (const rcode of [RCODE.BADVERS, RCODE.BADCOOKIE, RCODE.BADKEY]) {
    const pending = ask([upstream('.', { rcode })], 'a.example.');
    await assert.rejects(pending, (error) => {
      assert.ok(error instanceof DnsError);
      assert.deepEqual(
        [error.rcode, error.extended?.code],
        [RCODE.SERVFAIL, EDE.NO_REACHABLE_AUTHORITY],
      );
      return true;
    });
  }
  const nextRcodes = new Set<number>([RCODE.BADVERS]);
  const first = upstream('.', { rcode: RCODE.BADVERS, nextRcodes });
  assert.equal((await ask([first, upstream('.')], 'a.example.')).rcode, RCODE.NOERROR);
});

test('zone transfers are refused over UDP, and passed on over TCP', async () => {
  for (const type of [TYPE.AXFR, TYPE.IXFR]) {
    const only = upstream('.');
    const over = (transport: 'udp' | 'tcp') => {
      const asked = query('example.org.', transport);
      asked.head.type = type;
      return forwardHandler([only], clock, NO_TAPS)(asked, () => ELSEWHERE);
    };
    assert.throws(() => over('udp'), { name: 'DnsError', rcode: RCODE.REFUSED });
    assert.equal(only.asked.length, 0);
    await over('tcp');
    assert.equal(only.asked.length, 1);
  }
});
