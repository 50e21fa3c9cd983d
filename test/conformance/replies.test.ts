/** Clients' responses to real upstream replies: long, malformed, unrelated to the question, with too many records. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from 'dns-packet';
import { FLAG, flagsOf, putU16, qdcountOf } from '../../agent/dns/header.ts';
import { EDE, RCODE, TYPE } from '../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../agent/dns/name.ts';
import { readReply } from '../../agent/dns/reply.ts';
import { freePort } from '../support/free-port.ts';
import { eventually } from '../support/netns/netns.ts';
import { packet, packetsIn } from '../support/packets/read.ts';
import { overTcp, overUdp, stopped, type Target } from '../support/server/subject.ts';
import { answersOf, plain, query, rcodeOf, send } from '../support/upstream/relayed.ts';
import { type FakeServer, startServer } from '../support/upstream/server.ts';

const run = promisify(execFile);
const NODENS = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));

let upstream: FakeServer;
let subject: Target;
let nodens: ChildProcess;
const folder = mkdtempSync(join(tmpdir(), 'nodens-replies-'));

before(async () => {
  upstream = await startServer((asked) => asked.answer({ address: [192, 0, 2, 1] }));
  subject = { host: '127.0.0.1', port: await freePort() };
  const { host, port } = subject;
  const to = `forward . 127.0.0.1:${upstream.port}`;
  const path = join(folder, 'Corefile');
  writeFileSync(
    path,
    `.:${port} {
  bind ${host}
  cache {
    servfail 0
  }
  ${to} {
    max_connect_attempts 1
    max_fails 0
  }
}
tcp.test:${port} {
  bind ${host}
  cache
  ${to} {
    force_tcp
  }
}
case.test:${port} {
  bind ${host}
  cache
  ${to} {
    case_randomization
  }
}
six.test:${port} {
  bind ${host}
  dns64 {
    allow_ipv4
  }
  ${to} {
    max_connect_attempts 1
    max_fails 0
  }
}
`,
  );
  nodens = spawn(process.execPath, [NODENS, 'agent', '-conf', path], { stdio: 'ignore' });
  await eventually('nodens answers', async () => {
    return (await overUdp(subject, query('ready.test', 'A'), 200)) !== undefined;
  });
});
after(async () => {
  await stopped(nodens);
  await upstream.close();
  rmSync(folder, { recursive: true });
});

/** Makes the upstream answer every query with `message`. */
function says(message: Buffer): void {
  upstream.script = (asked) => send(asked, message);
}

async function ask(name: string, type: keyof typeof TYPE, dnssecOk?: boolean): Promise<Buffer> {
  const response = await overUdp(subject, query(name, type, dnssecOk));
  assert.ok(response, `no answer for ${name}`);
  return response;
}

const asked = (name: string): number =>
  upstream.seen.filter(({ head }) => nameToText(head.name.slice(0, head.nameLength)) === `${name}.`)
    .length;

describe('an answer over TCP without compression', () => {
  const PORT = '_sql._tcp.db.tcp.test';
  const longer = 'headless.default.svc.cluster.local.tcp.test';
  for (const [name, type, count, line] of [
    ['headless.default.svc.tcp.test', 'A', 28, () => 'headless.default.svc.tcp.test A'],
    ['headless.default.svc.tcp.test', 'AAAA', 16, () => 'headless.default.svc.tcp.test AAAA'],
    [longer, 'A', 28, () => `${longer} A`],
    [PORT, 'SRV', 8, (i: number) => `${PORT} SRV db-${i}.default.svc.cluster.local`],
  ] as const) {
    it(`${count} ${type} of ${name} fit into 512 bytes, as dig and kdig read them`, async () => {
      says(plain({ name, type, answer: Array.from({ length: count }, (_, i) => line(i)) }));
      const response = await ask(name, type);
      assert.equal(flagsOf(response) & FLAG.TC, 0);
      assert.equal(readReply(response)?.records.length, count);
      const at = [`@${subject.host}`, '-p', String(subject.port), '+noedns', '+ignore', name, type];
      for (const tool of ['dig', 'kdig']) {
        const { stdout } = await run(tool, at);
        const records = stdout.split('\n').filter((text) => text.startsWith(`${name}.`));
        assert.equal(records.length, count, stdout);
        assert.doesNotMatch(stdout, /flags:[^;]* tc\b/);
      }
    });
  }

  it('keeps the letter case of names that do not repeat the question', async () => {
    const answer = ['www.tcp.test CNAME Other.tcp.test', 'Other.tcp.test A'];
    says(plain({ name: 'www.tcp.test', answer }));
    for (const spelling of ['www.tcp.test', 'WWW.TCP.test']) {
      const [alias, address] = answersOf(await ask(spelling, 'A'));
      assert.equal(alias, `${spelling} CNAME Other.tcp.test`);
      assert.match(address ?? '', /^Other\.tcp\.test A/);
    }
  });
});

describe('a reply that cannot be parsed', () => {
  for (const { name, bytes } of packetsIn('replies/malformed-records')) {
    if (qdcountOf(bytes) === 0) continue;
    it(`${name} is SERVFAIL, and not stored`, async () => {
      says(bytes);
      const wire = Buffer.from(bytes);
      const end = 12 + nameFromText('www.example.org').length + 4;
      const [type] =
        Object.entries(TYPE).find(([, number]) => number === wire.readUInt16BE(end - 4)) ?? [];
      assert.ok(type !== undefined);
      const response = await ask('www.example.org', type as keyof typeof TYPE);
      assert.equal(rcodeOf(response), RCODE.SERVFAIL);
      assert.equal(readReply(response)?.records.length, 0);
      if (type !== 'A') return;
      upstream.script = (seen) => seen.answer({ address: [192, 0, 2, 1] });
      const other = `${name}.example.org`;
      assert.deepEqual(answersOf(await ask(other, 'A')), [`${other} A 192.0.2.1`]);
    });
  }

  it('carries the reason for clients with EDNS', async () => {
    says(packet('malformed-records/a-3-bytes'));
    const response = await ask('www.example.org', 'A', false);
    assert.equal(readReply(response)?.extended?.code, EDE.NO_REACHABLE_AUTHORITY);
  });
});

describe('an answer to another question', () => {
  for (const { name, bytes } of packetsIn('replies/unrelated')) {
    it(`${name} is SERVFAIL`, async () => {
      says(bytes);
      assert.equal(rcodeOf(await ask('www.example.org', 'A')), RCODE.SERVFAIL);
    });
  }

  it('is omitted beside a right one, also from the cache', async () => {
    const name = 'mixed.example.org';
    says(plain({ name, answer: ['evil.example A', `${name} A`, 'evil.example A'] }));
    for (let i = 0; i < 2; i++)
      assert.deepEqual(answersOf(await ask(name, 'A')), [`${name} A 192.0.2.2`]);
    assert.equal(asked(name), 1);
  });
});

describe('an error without a question', () => {
  for (const rcode of ['FORMERR', 'NOTIMP'] as const) {
    it(`${rcode} reaches the client with the client's question`, async () => {
      const bare = Buffer.from('123481800000000000000000', 'hex');
      bare[3] = (bare[3] as number) | RCODE[rcode];
      says(bare);
      const name = `BaRe-${rcode}.example.org`;
      const response = await ask(name, 'A');
      assert.equal(rcodeOf(response), RCODE[rcode]);
      assert.deepEqual(decode(response).questions, [{ name, type: 'A', class: 'IN' }]);
    });
  }
});

describe('an alias to a missing name', () => {
  for (const alias of ['CNAME no.example', 'DNAME']) {
    it(`${alias}: six queries of clients cause one upstream query`, async () => {
      const name = `www.${alias.slice(0, 5).toLowerCase()}.test`;
      const zone = name.slice(4);
      const answer =
        alias === 'DNAME' ? [`${zone} DNAME x`, `${name} CNAME www.x`] : [`${name} ${alias}`];
      says(plain({ name, answer, authority: ['x SOA x'], rcode: RCODE.NXDOMAIN }));
      for (let i = 0; i < 6; i++) {
        const response = await ask(name, 'A');
        assert.equal(rcodeOf(response), RCODE.NXDOMAIN);
        assert.equal(answersOf(response).length, answer.length);
      }
      assert.equal(asked(name), 1);
    });
  }
});

describe('random letter case', () => {
  it('is in no name of a response, fresh or from the cache', async () => {
    const name = 'www.case.test';
    upstream.script = (seen) => {
      const spelt = nameToText(seen.message.subarray(12, 12 + seen.head.nameLength)).slice(0, -1);
      const zone = spelt.slice(4);
      const answer = [`${spelt} CNAME up.${zone}`, `up.${zone} A`];
      send(seen, plain({ name: spelt, answer, authority: [`${zone} NS ns.${zone}`] }));
    };
    for (let i = 0; i < 2; i++) {
      const response = await ask(name, 'A');
      assert.deepEqual(answersOf(response), [
        `${name} CNAME up.case.test`,
        'up.case.test A 192.0.2.2',
      ]);
      assert.equal(decode(response).authorities?.[0]?.name, 'case.test');
    }
    assert.equal(asked(name), 1);
  });
});

describe('DNSSEC records that were not requested', () => {
  it('are not sent to a client without DO', async () => {
    const name = 'signed.example.org';
    const authority = ['example.org NS ns.example.org', 'example.org NSEC'];
    says(plain({ name, answer: [`${name} A`, `${name} RRSIG`], authority }));
    for (const dnssecOk of [undefined, false, true, undefined]) {
      const { answers = [], authorities = [] } = decode(await ask(name, 'A', dnssecOk));
      const types = [...answers, ...authorities].map(({ type }) => type);
      assert.deepEqual(types, dnssecOk ? ['A', 'RRSIG', 'NS', 'NSEC'] : ['A', 'NS']);
    }
  });
});

describe('signals of one hop', () => {
  it('BADVERS of an upstream is SERVFAIL with a reason', async () => {
    const name = 'badvers.example.org';
    const opt = Buffer.from('00002904d0010000000000', 'hex');
    const message = Buffer.concat([plain({ name }), opt]);
    putU16(message, 10, 1);
    says(message);
    const reply = readReply(await ask(name, 'A', false));
    assert.deepEqual(
      [reply?.rcode, reply?.extended?.code],
      [RCODE.SERVFAIL, EDE.NO_REACHABLE_AUTHORITY],
    );
    assert.equal(rcodeOf(await ask(name, 'A')), RCODE.SERVFAIL);
  });

  it('a zone transfer over UDP gets REFUSED; over TCP it goes upstream', async () => {
    const name = 'zone.test';
    says(plain({ name, type: 'AXFR', answer: [`${name} SOA x`, `a.${name} A`, `${name} SOA x`] }));
    for (const type of ['AXFR', 'IXFR'] as const)
      assert.equal(rcodeOf(await ask(name, type)), RCODE.REFUSED);
    assert.equal(asked(name), 0);
    const zone = await overTcp(subject, query(name, 'AXFR'));
    assert.equal(zone && readReply(zone)?.records.length, 3);
  });
});

describe('dns64', () => {
  it('synthesizes addresses for a name whose AAAA query fails', async () => {
    for (const rcode of [RCODE.SERVFAIL, undefined]) {
      upstream.script = (seen) => {
        if (seen.head.type === TYPE.A) seen.answer({ address: [192, 0, 2, 33] });
        else if (rcode !== undefined) seen.answer({ rcode });
      };
      const name = `v4-${rcode}.six.test`;
      const response = await overUdp(subject, query(name, 'AAAA'), 5_000);
      assert.deepEqual(response && answersOf(response), [`${name} AAAA 64:ff9b::c000:221`]);
    }
  });
});
