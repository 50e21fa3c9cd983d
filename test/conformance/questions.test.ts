/** Responses to clients, case by case; in a shared case other servers must respond in the same way. */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { decode } from 'dns-packet';
import { FLAG, flagsOf, OPCODE_MASK } from '../../agent/dns/header.ts';
import { readReply } from '../../agent/dns/reply.ts';
import { queryWire } from '../support/server/fixture.ts';
import {
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

/** What `dig` prints for `args`. */
async function dig(target: Target, ...args: string[]): Promise<string> {
  const at = [`@${target.host}`, '-p', String(target.port), '+tries=1', '+time=3'];
  return (await run('dig', [...at, ...args])).stdout;
}

/** Status, flags that any resolver agrees on, EDNS line and sorted answers without TTL. */
async function seen(target: Target, ...args: string[]): Promise<string[]> {
  const text = await dig(target, ...args);
  const status = /status: (\w+)/.exec(text)?.[1] ?? 'none';
  const flags = (/flags: ([a-z ]*);/.exec(text)?.[1] ?? '')
    .split(' ')
    .filter((flag) => flag !== 'aa');
  const edns = /EDNS: version: (\d+), flags:([a-z ]*);/.exec(text);
  const answers = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(';'))
    .map((line) => line.replaceAll(/\s+/g, ' ').replace(/^(\S+) \d+/, '$1'));
  return [
    status,
    flags.join(' '),
    edns === null ? 'no EDNS' : edns.slice(1).join(''),
    ...answers.sort(),
  ];
}

/** As `seen`, with a retry without a response: dnsdist's TCP connections upstream sometimes stall for seconds. */
async function seenAtPeer(peer: Target, ...args: string[]): Promise<string[]> {
  return seen(peer, ...args).catch(() => seen(peer, ...args));
}

const SHARED: readonly (readonly [string, ...string[]])[] = [
  ['an address', 'a.conf.test', 'A'],
  ['an IPv6 address over TCP', '+tcp', 'a.conf.test', 'AAAA'],
  ['an address without EDNS', '+noedns', 'a.conf.test', 'A'],
  ['several records', 'many.conf.test', 'A'],
  ['an alias', 'alias.conf.test', 'CNAME'],
  ['an unknown type', 'odd.conf.test', 'TYPE65400'],
  ['a name that does not exist', 'none.conf.test', 'A'],
  ['a type that does not exist', 'a.conf.test', 'MX'],
  ['a question with DO', '+dnssec', 'a.conf.test', 'A'],
  ['a question with CD', '+cd', 'a.conf.test', 'A'],
  ['an unknown EDNS option', '+ednsopt=65001:0102', 'a.conf.test', 'A'],
  ['the client’s own spelling', 'A.CoNf.tEsT', 'A'],
  ['what does not fit, over TCP', '+tcp', 'big.conf.test', 'TXT'],
  ['what does not fit, by retry over TCP', '+bufsize=1232', 'big.conf.test', 'TXT'],
];

for (const peer of PEERS) {
  describe(`shared with ${peer}`, () => {
    for (const [name, ...args] of SHARED) {
      it(name, async () => {
        const expected = await seenAtPeer(site.peers[peer], ...args);
        assert.deepEqual(await seen(site.subject, ...args), expected);
        assert.deepEqual(
          await seen(site.subject, ...args),
          expected,
          'the second response differs',
        );
      });
    }
  });
}

function edited(change: (wire: Buffer) => void, wire = queryWire('a.conf.test', 77)): Buffer {
  change(wire);
  return wire;
}

const transports = { UDP: overUdp, TCP: overTcp };

for (const [transport, ask] of Object.entries(transports)) {
  describe(`over ${transport}`, () => {
    it('a plain question is answered with its ID, RD and RA, and without OPT', async () => {
      const response = await ask(site.subject, queryWire('a.conf.test', 77));
      assert.ok(response !== undefined);
      assert.equal(response.readUInt16BE(0), 77);
      assert.equal(flagsOf(response) & ~FLAG.AA, FLAG.QR | FLAG.RD | FLAG.RA);
      assert.equal(response.readUInt16BE(10), 0);
    });

    it('question and owner of the answer have the letter case of the query', async () => {
      for (const name of ['a.conf.test', 'A.CONF.TEST', 'a.COnf.tESt']) {
        const wire = edited((copy) => {
          let at = 13;
          for (const label of name.split('.')) at += copy.write(label, at) + 1;
        });
        const { questions, answers } = decode((await ask(site.subject, wire)) as Buffer);
        assert.deepEqual([questions?.[0]?.name, answers?.[0]?.name], [name, name]);
      }
    });

    it('NOTIFY, STATUS and UPDATE get NOTIMP, with the opcode of the query', async () => {
      for (const opcode of [4, 2, 5]) {
        const wire = edited((copy) => copy.writeUInt16BE(opcode << 11, 2));
        const response = (await ask(site.subject, wire)) as Buffer;
        assert.equal(flagsOf(response) & OPCODE_MASK, opcode << 11);
        assert.equal(flagsOf(response) & 0xf, 4);
      }
    });

    it('a response gets no response', async () => {
      const wire = edited((copy) => copy.writeUInt16BE(FLAG.QR, 2));
      assert.equal(await ask(site.subject, wire, 300), undefined);
    });

    it('two questions, no question, or a compressed name get FORMERR', async () => {
      const none = edited((copy) => copy.writeUInt16BE(0, 4));
      const two = edited((copy) => copy.writeUInt16BE(2, 4));
      const pointer = Buffer.concat([
        queryWire('a.conf.test', 77).subarray(0, 12),
        Buffer.from([0xc0, 12, 0, 1, 0, 1]),
      ]);
      for (const wire of [none, two, pointer]) {
        const response = (await ask(site.subject, wire)) as Buffer;
        assert.equal(flagsOf(response) & 0xf, 1);
        assert.equal(response.readUInt16BE(0), 77);
      }
    });

    it('bytes after the question are ignored', async () => {
      const wire = Buffer.concat([queryWire('a.conf.test', 77), Buffer.from('garbage')]);
      assert.equal(readReply((await ask(site.subject, wire)) as Buffer)?.rcode, 0);
    });

    it('the TTL of a cached answer decreases by one each second', async () => {
      const ttl = async (): Promise<number> => {
        const response = (await ask(site.subject, queryWire('many.conf.test', 1))) as Buffer;
        return readReply(response)?.records[0]?.ttlSeconds as number;
      };
      const first = await ttl();
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      const second = await ttl();
      assert.ok(first - second >= 1 && first - second <= 2, `${first} → ${second}`);
    });
  });
}

it("a response that is too long is cut between records to the client's size, with TC", async () => {
  const whole = await overTcp(site.subject, bigQuery());
  assert.equal(readReply(whole as Buffer)?.records.length, 40);
  for (const size of [undefined, 512, 1_232, 4_000]) {
    const response = (await overUdp(site.subject, bigQuery(size))) as Buffer;
    const reply = readReply(response);
    assert.ok(reply?.truncated, `${size}: no whole records or no TC`);
    assert.ok(response.length <= (size ?? 512) && response.length > (size ?? 512) - 130);
  }
});

function bigQuery(udpSizeBytes?: number): Buffer {
  const wire = queryWire('big.conf.test', 9, udpSizeBytes);
  wire.writeUInt16BE(16, 12 + 'big.conf.test'.length + 2);
  return wire;
}

it('another EDNS version gets BADVERS, with the supported version', async () => {
  const options = ['+edns=1', '+noednsnegotiation', 'a.conf.test', 'A'];
  const [status, , edns, ...answers] = await seen(site.subject, ...options);
  assert.deepEqual([status, edns, answers], ['BADVERS', '0', []]);
});

it('kdig gets answers to several queries over one TCP connection', async () => {
  const { host, port } = site.subject;
  const names = ['a.conf.test', 'many.conf.test', 'none.conf.test'].flatMap((name) => [
    '-q',
    name,
    '-t',
    'A',
  ]);
  const args = [`@${host}`, '-p', String(port), '+tcp', '+keepopen', ...names];
  const { stdout } = await run('kdig', args);
  assert.deepEqual(stdout.match(/status: \w+/g), [
    'status: NOERROR',
    'status: NOERROR',
    'status: NXDOMAIN',
  ]);
});
