/** Answers of plugins on the wire: acl, any, chaos; the subject is always nodens. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { hostname } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { IDENTITY, type Site, startSite } from '../support/server/subject.ts';

const run = promisify(execFile);
let site: Site;
before(async () => {
  delete process.env.DNS_TEST_SUBJECT;
  site = await startSite();
});
after(() => site.stop());

interface Said {
  readonly status: string;
  readonly flags: readonly string[];
  /** `TTL CLASS TYPE DATA` of each answer. */
  readonly answers: readonly string[];
  readonly extendedError: string;
  readonly bytes: number;
}

/** The parsed output of dig; status `none` without a response. */
async function dig(...args: string[]): Promise<Said> {
  const { host, port } = site.subject;
  const at = [`@${host}`, '-p', String(port), '+tries=1', '+time=1', ...args];
  const text = await run('dig', at).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith(';'));
  return {
    status: /status: (\w+)/.exec(text)?.[1] ?? 'none',
    flags: (/flags: ([a-z ]*);/.exec(text)?.[1] ?? '').split(' '),
    answers: lines.map((line) => line.split(/\s+/).slice(1).join(' ')),
    extendedError: /EDE: (.*)/.exec(text)?.[1] ?? '',
    bytes: Number(/MSG SIZE {2}rcvd: (\d+)/.exec(text)?.[1] ?? 0),
  };
}

describe('acl', () => {
  it('block: REFUSED with the extended error Blocked', async () => {
    const { status, extendedError, answers } = await dig('a.conf.test', 'LOC');
    assert.deepEqual([status, extendedError, answers], ['REFUSED', '15 (Blocked)', []]);
  });

  it('filter: an empty NOERROR with the extended error Filtered', async () => {
    const { status, extendedError, answers } = await dig('a.conf.test', 'HINFO');
    assert.deepEqual([status, extendedError, answers], ['NOERROR', '17 (Filtered)', []]);
  });

  it('drop: the client gets no response over UDP and TCP, and other clients do', async () => {
    assert.equal((await dig('a.conf.test', 'RP')).status, 'none');
    assert.equal((await dig('+tcp', 'a.conf.test', 'RP')).status, 'none');
    assert.equal((await dig('a.conf.test', 'A')).status, 'NOERROR');
  });
});

describe('any', () => {
  for (const tcp of ['+notcp', '+tcp']) {
    it(`one small HINFO record that names RFC 8482 (${tcp})`, async () => {
      const { status, answers, bytes } = await dig(tcp, '+ignore', 'big.conf.test', 'ANY');
      assert.equal(status, 'NOERROR');
      assert.deepEqual(answers, ['8482 IN HINFO "ANY obsoleted" "See RFC 8482"']);
      assert.ok(bytes < 120, `${bytes}`);
    });
  }
});

describe('chaos', () => {
  for (const name of ['version.bind', 'version.server']) {
    it(`${name}: the answer is the version that the Corefile sets, with TTL 0`, async () => {
      const { status, answers } = await dig('CH', 'TXT', name);
      assert.deepEqual([status, answers], ['NOERROR', [`0 CH TXT "${IDENTITY.version}"`]]);
    });
  }

  for (const name of ['hostname.bind', 'id.server']) {
    it(`${name}: the answer is the host name`, async () => {
      assert.deepEqual((await dig('CH', 'TXT', name)).answers, [`0 CH TXT "${hostname()}"`]);
    });
  }
});

describe('RD', () => {
  it('is copied from query to response, for a miss and a hit', async () => {
    for (const name of ['many.conf.test', 'none.conf.test']) {
      for (const [option, echoed] of [
        ['+norecurse', false],
        ['+recurse', true],
        ['+norecurse', false],
      ] as const) {
        const { flags } = await dig(option, name, 'A');
        assert.equal(flags.includes('rd'), echoed, `${name} ${option}: ${flags}`);
        assert.ok(flags.includes('ra'));
      }
    }
  });
});
