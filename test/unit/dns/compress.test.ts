import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import { TYPE } from '../../../agent/dns/iana.ts';
import { lowerName, nameFromText } from '../../../agent/dns/name.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import { acceptReply } from '../../../agent/dns/reply/accept.ts';
import {
  accepted,
  asking,
  bytes,
  kept,
  labels,
  made,
  NAME,
  record,
} from '../../support/dns/replies.ts';
import { expanded, type WireRecord, writeMessage } from '../../support/dns/wire-messages.ts';

describe('acceptReply compresses', () => {
  const SERVICE = 'headless.default.svc.cluster.local';
  const pods = (count: number, name: string, type: string): string[] =>
    new Array<string>(count).fill(`${name} ${type}`);

  it('so that as many records fit as CoreDNS sends', () => {
    /** The largest number of records with which the whole response, question included, fits. */
    const fitting = (limit: number, name: string, make: (i: number) => string): number => {
      for (let count = 1; ; count++) {
        const answer = Array.from({ length: count }, (_, i) => make(i));
        const type = (answer[0] as string).split(' ')[1] as keyof typeof TYPE;
        const { wire, asked } = made({ name, type, answer });
        if (accepted(wire, asked).wire.length > limit) return count - 1;
      }
    };
    assert.equal(
      fitting(512, SERVICE, () => `${SERVICE} A`),
      28,
    );
    assert.equal(
      fitting(512, SERVICE, () => `${SERVICE} AAAA`),
      16,
    );
    const port = '_sql._tcp.db.default.svc.cluster.local';
    assert.equal(
      fitting(512, port, (i) => `${port} SRV db-${i}.db.default.svc.cluster.local`),
      8,
    );
  });

  it('nothing in a compressed message: not a byte changes', () => {
    const { wire, asked } = made({ answer: pods(9, SERVICE, 'A'), name: SERVICE });
    const { wire: ours } = accepted(wire, asked);
    assert.deepEqual(accepted(ours, asked).wire, ours);
  });

  it('names only where the letter case is the same', () => {
    const answer = [`${NAME} CNAME a.Example.org`, 'a.Example.org CNAME b.example.org'];
    const { wire, asked } = made({ answer: [...answer, 'B.example.org A'] });
    const reply = accepted(wire, asked);
    assert.deepEqual(expanded(reply.wire), expanded(wire));
    assert.ok(reply.wire.length < wire.length);
  });

  it('no name to a part of the question, whose letter case differs by client', () => {
    const answer = [`${NAME} CNAME a.example.org`, 'a.example.org A', 'a.example.org A'];
    const { wire, asked } = made({ answer });
    const reply = Buffer.from(accepted(wire, asked).wire);
    reply.write('EXAMPLE', 17);
    const found = (decode(reply).answers ?? []).map(({ name }) => name);
    assert.deepEqual(found, ['www.EXAMPLE.org', 'a.example.org', 'a.example.org']);
  });

  it('no target of SRV, but the owners after it', () => {
    const name = 'web-0.headless.default.svc.cluster.local';
    const answer = [`${SERVICE} SRV ${name}`, `${SERVICE} SRV ${name}`];
    const { wire, asked } = made({ name: SERVICE, type: 'SRV', answer, additional: [`${name} A`] });
    const { wire: written, records } = accepted(wire, asked);
    const [first, second, address] = records;
    assert.ok(first && second && address);
    const length = nameFromText(name).length;
    assert.equal(second.rdataEnd - second.rdataStart, 6 + length);
    assert.equal(address.ttlOffset - address.start, 4 + 2);
    assert.equal(written.readUInt16BE(address.start) & 0x3fff, first.rdataStart + 6);
  });

  it('nothing where it would have to write out a target of SRV that came compressed', () => {
    const answer = [`${SERVICE} SRV ${SERVICE}`, `${SERVICE} SRV ${SERVICE}`];
    const plain = made({ name: SERVICE, type: 'SRV', answer });
    const { wire, asked } = made({ name: SERVICE, type: 'SRV', answer, compressed: true });
    // One owner in full: compression would save less than it would cost.
    assert.deepEqual(accepted(wire, asked).wire, wire);
    assert.ok(accepted(plain.wire, plain.asked).wire.length < plain.wire.length);
  });

  it('no name beyond the range of a pointer', () => {
    const text: WireRecord = {
      ...record('a.x TXT'),
      rdata: [
        bytes(...new Array<number>(256 * 70).fill(255, 0).map((_, i) => (i % 256 ? 7 : 255))),
      ],
    };
    const late = [record('late.y A'), record('late.y A', 2), record('late.y A', 3)];
    const records = [text, ...late].map((each) => ({ ...each, section: 2 as const }));
    const wire = writeMessage({ question: labels(NAME), type: TYPE.A, records }, [false]);
    const reply = accepted(wire, asking(NAME, TYPE.A));
    assert.ok(reply.wire.length > 0x4000);
    assert.deepEqual(expanded(reply.wire), expanded(wire));
    assert.deepEqual(reply.wire, wire);
  });

  it('each message independently of earlier ones', () => {
    const one = made({ answer: pods(2, NAME, 'A') });
    const other = made({
      name: 'other.x',
      answer: pods(2, 'other.x', 'A'),
      authority: ['x NS a.x'],
    });
    const expected = [one, other].map(({ wire, asked }) => accepted(wire, asked).wire);
    for (let i = 0; i < 140_000; i++) {
      const { wire, asked } = i % 2 === 0 ? one : other;
      const reply = acceptReply(wire, asked);
      if (typeof reply === 'string' || !reply.wire.equals(expected[i % 2] as Buffer))
        assert.fail(`message ${i}`);
    }
  });

  it('records before an OPT, and cuts records after it and bytes after the message', () => {
    const { wire, asked } = made({
      answer: pods(2, NAME, 'A'),
      additional: ['a.x A', 'a.x AAAA'],
    });
    const opt = Buffer.from('0000290200000000000000', 'hex');
    const records = readRecords(wire) ?? [];
    const at = records[3]?.start ?? 0;
    const garbage = Buffer.of(1, 2, 3);
    const message = Buffer.concat([wire.subarray(0, at), opt, wire.subarray(at), garbage]);
    message.writeUInt16BE(3, 10);
    assert.deepEqual(kept(accepted(message, asked)), [`${NAME} A, ${NAME} A`, '', 'a.x A']);
  });
});

describe('acceptReply takes time by the size of a message', () => {
  const ROOM = 65_535;
  /** 127 labels of one byte. */
  const long = (seed: number): Buffer => {
    const name = Buffer.alloc(255);
    for (let i = 0; i < 127; i++)
      name.set([1, (seed * 31 + i * 7 + (seed >> 3) * (i + 1)) & 0xff], 2 * i);
    return name;
  };
  const pointer = (to: number): Buffer => Buffer.of(0xc0 | (to >> 8), to & 0xff);
  const fields = (type: number, rdata: Buffer): Buffer =>
    Buffer.concat([
      Buffer.of(type >> 8, type & 0xff, 0, 1, 0, 0, 0, 60, rdata.length >> 8, rdata.length & 0xff),
      rdata,
    ]);

  /** As many records as fit. */
  function full(make: (i: number) => Buffer, type: number = TYPE.AXFR): Buffer {
    const question = Buffer.concat([long(1), Buffer.of(type >> 8, type & 0xff, 0, 1)]);
    const parts: Uint8Array[] = [Buffer.from('123481800001000000000000', 'hex'), question];
    let bytesUsed = 12 + question.length;
    for (let i = 0; ; i++) {
      const next = make(i);
      if (bytesUsed + next.length > ROOM) {
        const wire = Buffer.concat(parts);
        wire.writeUInt16BE(i, 6);
        return wire;
      }
      parts.push(next);
      bytesUsed += next.length;
    }
  }

  /** Labels that the table keeps in one bucket, whatever its hash is. */
  function colliding(count: number): Uint8Array[] {
    const found: Uint8Array[] = [];
    for (let i = 0; found.length < count; i++) {
      const label = Buffer.of(4, i & 0xff, (i >> 8) & 0xff, (i >> 16) & 0xff, i >>> 24);
      let hash = Math.imul(1, 0x9e3779b1);
      for (const byte of label) hash = Math.imul(hash ^ byte, 0x01000193);
      if (((hash ^ (hash >>> 15)) & 8_191) === 0) found.push(Buffer.concat([label, Buffer.of(0)]));
    }
    return found;
  }

  const A = Buffer.of(192, 0, 2, 1);
  const MINFO = 14;
  const worst: Readonly<Record<string, () => Buffer>> = {
    'owners of 127 labels, each another': () =>
      full((i) => Buffer.concat([long(i + 2), fields(TYPE.A, A)])),
    'owners of 127 labels behind a question for an address': () =>
      full((i) => Buffer.concat([long(i + 2), fields(TYPE.A, A)]), TYPE.A),
    'pointers to a name of 127 labels': () =>
      full((i) => {
        const to = pointer(12 + 2 * (i % 127));
        return Buffer.concat([to, fields(MINFO, Buffer.concat([to, to]))]);
      }),
    'aliases of each other': () =>
      full((i) => {
        const to = pointer(12 + 2 * ((i * 7) % 120));
        return Buffer.concat([pointer(12 + 2 * (i % 100)), fields(TYPE.CNAME, to)]);
      }, TYPE.A),
    'DNAMEs of each other': () =>
      full((i) => {
        const to = pointer(12 + 2 * ((i * 7) % 120));
        return Buffer.concat([pointer(14 + 2 * (i % 100)), fields(TYPE.DNAME, to)]);
      }, TYPE.A),
    'labels made to collide': () => {
      const names = colliding(3_000);
      return full((i) => Buffer.concat([names[i % 3_000] ?? A, fields(TYPE.A, A)]));
    },
    'targets that would be written out': () =>
      full((i) => {
        const to = i === 0 ? Buffer.concat([Buffer.of(1, 65), pointer(14)]) : pointer(12);
        return Buffer.concat([pointer(12), fields(TYPE.SRV, Buffer.concat([Buffer.alloc(6), to]))]);
      }, TYPE.SRV),
    'records without anything': () => full(() => Buffer.from('00fffe00010000003c0000', 'hex')),
  };
  // Squared, each of these takes some hundred times as long as it does: between 0.2 and 4 ms on a machine at rest.
  const MAX_MS = 60;
  for (const [what, make] of Object.entries(worst)) {
    it(what, () => {
      const wire = make();
      const name = lowerName(long(1));
      const type = wire.readUInt16BE(12 + 255);
      let leastMs = Number.POSITIVE_INFINITY;
      for (const spelling of [undefined, undefined, undefined, long(1)]) {
        const startMs = performance.now();
        acceptReply(wire, { name, type, class: 1, dnssecOk: true }, spelling);
        leastMs = Math.min(leastMs, performance.now() - startMs);
      }
      assert.ok(leastMs < MAX_MS, `${leastMs.toFixed(1)} ms`);
    });
  }
});
