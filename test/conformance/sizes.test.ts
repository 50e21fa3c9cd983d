/**
 * The maximum size of a UDP response of nodens as built, for a miss and a hit. Addresses other than loopback are in
 * test/netns/udp-sizes.test.ts.
 */
import { strict as assert } from 'node:assert';
import { after, before, describe, it } from 'node:test';
import { buildQuery } from '../../agent/dns/build.ts';
import { FLAG } from '../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../agent/dns/iana.ts';
import { nameFromText } from '../../agent/dns/name.ts';
import { type Reply, readReply } from '../../agent/dns/reply.ts';
import { freePort } from '../support/free-port.ts';
import { type HostileAgent, type Ports, startAgent } from '../support/hostile/agent.ts';
import { overTcp, overUdp } from '../support/server/subject.ts';

const RECORDS = 270;
/** 270 records of 112 bytes make a message of 30 kB. */
const BIG = Array.from(
  { length: RECORDS },
  (_, i) => `    answer "{{ .Name }} 60 IN TXT ${String(i).padStart(99, 'x')}"`,
).join('\n');
const TEMPLATE = `  cache
  template IN TXT {
${BIG}
  }
`;

const extra = { lowered: 0 };
let agent: HostileAgent;

const corefile = ({ dns, upstream }: Ports): string => `.:${dns} {
  bind 127.0.0.1
${TEMPLATE}  forward . 127.0.0.1:${upstream}
}
.:${extra.lowered} {
  bind 127.0.0.1
  bufsize 700
${TEMPLATE}}
`;

before(async () => {
  extra.lowered = await freePort();
  agent = await startAgent({ corefile });
});
after(() => agent.stop());

function query(name: string, udpSizeBytes: number | undefined): Buffer {
  const question = { name: nameFromText(name), type: TYPE.TXT, class: CLASS.IN };
  return buildQuery({ ...question, id: 7, flags: FLAG.RD, dnssecOk: false, udpSizeBytes });
}

function read(response: Buffer | undefined): Reply {
  const reply = response && readReply(response);
  assert.ok(reply !== undefined, 'no reply, or one with a partial record');
  return reply;
}

/** Bytes of a record: a cut between records may leave that many unused. */
const RECORD_BYTES = 112;

interface Case {
  readonly where: string;
  readonly port: () => number;
  readonly maxBytes: number;
}

const CASES: readonly Case[] = [
  { where: 'a local IP', port: () => agent.ports.dns, maxBytes: 4_096 },
  { where: 'a local IP with bufsize 700', port: () => extra.lowered, maxBytes: 700 },
];

describe('a UDP response that exceeds its limit', () => {
  for (const { where, port, maxBytes } of CASES) {
    it(`has at most ${maxBytes} bytes where clients ask on ${where}, and TC`, async () => {
      const target = { host: '127.0.0.1', port: port() };
      for (const takes of [65_535, 4_096, 1_232, 512, undefined]) {
        const bound = Math.min(takes ?? 512, maxBytes);
        for (const how of ['miss', 'hit']) {
          const response = await overUdp(target, query(`big-${takes}.test`, takes));
          assert.ok(read(response).truncated, `${takes}: ${how}`);
          const { length } = response as Buffer;
          assert.ok(length <= bound && length > bound - 2 * RECORD_BYTES, `${takes}: ${length}`);
        }
        const whole = await overTcp(target, query(`big-${takes}.test`, takes));
        assert.equal(read(whole).records.length, RECORDS);
      }
    });

    it(`has an OPT with ${maxBytes} bytes where clients ask on ${where}`, async () => {
      const target = { host: '127.0.0.1', port: port() };
      for (const ask of [overUdp, overTcp]) {
        const response = (await ask(target, query('opt.test', 1_232))) as Buffer;
        // The OPT is the last record and carries no option: its class is 8 bytes before the end.
        assert.equal(response.readUInt16BE(response.length - 8), maxBytes);
      }
    });
  }

  it('is also the limit of a query: a query of 4,096 bytes gets an answer', async () => {
    const options = Buffer.alloc(4_096 - query('a.test', 1_232).length);
    // One option of a code for local use (RFC 6891 §9).
    options.writeUInt16BE(65_001, 0);
    options.writeUInt16BE(options.length - 4, 2);
    const question = { name: nameFromText('a.test'), type: TYPE.TXT, class: CLASS.IN };
    const fields = { id: 9, flags: FLAG.RD, dnssecOk: false, udpSizeBytes: 1_232, options };
    const wire = buildQuery({ ...question, ...fields });
    assert.equal(wire.length, 4_096);
    const response = await overUdp({ host: '127.0.0.1', port: agent.ports.dns }, wire);
    assert.ok(read(response).truncated);
  });
});
