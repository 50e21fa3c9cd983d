/** Upstreams with faults, on real sockets: clients of nodens as built get every name that the upstream has. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode } from 'dns-packet';
import { buildQuery } from '../../../agent/dns/build.ts';
import { frame } from '../../../agent/dns/frame.ts';
import { FLAG, flagsOf, HEADER_BYTES, putU16 } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { freePort } from '../../support/free-port.ts';
import { eventually } from '../../support/netns/netns.ts';
import { overUdp, stopped, type Target } from '../../support/server/subject.ts';
import { bareReplyTo, replyTo } from '../../support/upstream/messages.ts';
import {
  type Asked,
  type FakeServer,
  type Script,
  startServer,
} from '../../support/upstream/server.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
/** A query's own deadline is four seconds. */
const PATIENCE_MS = 6_000;
const NAMES = 30;

interface Rude {
  /** The zone of the upstream. */
  readonly zone: string;
  readonly options?: string;
  readonly script: Script;
}

const good: Script = (asked) => asked.answer({ address: [192, 0, 2, 1] });
const toOpt =
  (bad: Script): Script =>
  (asked) =>
    asked.head.hasOpt ? bad(asked) : good(asked);

/** Answers `count` queries of a connection, and nothing over UDP. */
const hangsUpAfter =
  (count: number, how: 'close' | 'reset'): Script =>
  (asked) => {
    if (asked.transport === 'udp' || asked.before >= count) return;
    good(asked);
    if (asked.before === count - 1) asked.hangUp(how);
  };

const says =
  (rcode: keyof typeof RCODE): Script =>
  (asked) =>
    asked.answer({ rcode: RCODE[rcode] });

const bare =
  (rcode: keyof typeof RCODE, hasOpt: boolean): Script =>
  (asked) => {
    const message = bareReplyTo(asked, RCODE[rcode], hasOpt);
    asked.raw(asked.transport === 'udp' ? message : frame(message));
  };

const TCP = 'force_tcp';
const PIPELINES: readonly Rude[] = [
  { zone: 'one.test', options: TCP, script: hangsUpAfter(1, 'close') },
  { zone: 'one-reset.test', options: TCP, script: hangsUpAfter(1, 'reset') },
  { zone: 'two.test', options: TCP, script: hangsUpAfter(2, 'close') },
  {
    zone: 'segment.test',
    options: TCP,
    script: (asked) => {
      if (asked.transport === 'tcp' && asked.beforeInChunk === 0) good(asked);
    },
  },
];
const hangsUp =
  (how: 'close' | 'reset'): Script =>
  (asked) => {
    if (asked.transport === 'tcp') asked.hangUp(how);
  };
/** A server that knows no OPT repeats the count of additional records from the query, and adds none. */
const miscounts: Script = (asked) => {
  const message = replyTo(asked, { address: [192, 0, 2, 1] });
  putU16(message, 10, 1);
  asked.raw(asked.transport === 'udp' ? message : frame(message));
};

const DISLIKES: readonly (readonly [string, Script])[] = [
  ['drops', () => undefined],
  ['servfail', says('SERVFAIL')],
  ['refused', says('REFUSED')],
  ['formerr', says('FORMERR')],
  ['notimp', says('NOTIMP')],
  ['badvers', bare('BADVERS', true)],
  ['empty', (asked) => asked.answer({})],
  ['miscounts', miscounts],
  ['closes', hangsUp('close')],
  ['resets', hangsUp('reset')],
];
const EDNS: readonly Rude[] = [
  ...DISLIKES.flatMap(([name, script]) => [
    { zone: `${name}.test`, script: toOpt(script) },
    { zone: `${name}-tcp.test`, options: TCP, script: toOpt(script) },
  ]),
  {
    zone: 'told.test',
    options: 'no_edns',
    script: toOpt(() => undefined),
  },
];
const ERRORS = (['FORMERR', 'NOTIMP', 'SERVFAIL', 'REFUSED'] as const).flatMap((rcode) =>
  [false, true].flatMap((hasOpt) =>
    ['prefer_udp', TCP].map((options) => ({
      ...{ rcode, hasOpt, options, script: bare(rcode, hasOpt) },
      zone: `${rcode}-${hasOpt ? 'opt' : 'bare'}-${options === TCP ? 'tcp' : 'udp'}.test`.toLowerCase(),
    })),
  ),
);
const ALL: readonly Rude[] = [...PIPELINES, ...EDNS, ...ERRORS];

const servers = new Map<string, FakeServer>();
const folder = mkdtempSync(join(tmpdir(), 'nodens-rude-'));
let subject: Target;
let nodens: ChildProcess;

before(async () => {
  subject = { host: '127.0.0.1', port: await freePort() };
  const { host, port } = subject;
  for (const { zone, script } of ALL) servers.set(zone, await startServer(script));
  const blocks = ALL.map(
    ({ zone, options = '' }) => `${zone}:${port} {
  bind ${host}
  cache {
    servfail 0
  }
  forward . 127.0.0.1:${servers.get(zone)?.port} {
    ${options}
  }
}
`,
  );
  const path = join(folder, 'Corefile');
  writeFileSync(path, blocks.join(''));
  nodens = spawn(process.execPath, [NODENS, 'agent', '-conf', path], { stdio: 'ignore' });
  await eventually('nodens answers', async () => {
    return (await overUdp(subject, query('ready.other.test'), 200)) !== undefined;
  });
});
after(async () => {
  await stopped(nodens);
  for (const server of servers.values()) await server.close();
  rmSync(folder, { recursive: true });
});

function query(name: string): Buffer {
  return buildQuery({
    ...{ name: nameFromText(name), type: TYPE.A, class: CLASS.IN, id: 7, flags: FLAG.RD },
    ...{ dnssecOk: false, udpSizeBytes: undefined },
  });
}

const serverOf = (zone: string): FakeServer => servers.get(zone) as FakeServer;

/** The answers to clients that ask for many names at once. */
async function askAtOnce(zone: string, round: string): Promise<(string | undefined)[]> {
  const responses = await Promise.all(
    Array.from({ length: NAMES }, (_, i) =>
      overUdp(subject, query(`${round}${i}.${zone}`), PATIENCE_MS),
    ),
  );
  return responses.map((response) => {
    const [answer] = (response && decode(response).answers) ?? [];
    return answer?.type === 'A' ? answer.data : undefined;
  });
}

const EXPECTED = new Array<string>(NAMES).fill('192.0.2.1');

describe('a TCP upstream with limits answers thirty names at once', () => {
  for (const { zone } of PIPELINES) {
    it(`${zone}, and gets each of them once`, async () => {
      assert.deepEqual(await askAtOnce(zone, 'a'), EXPECTED);
      const { seen } = serverOf(zone);
      const before = seen.length;
      assert.deepEqual(await askAtOnce(zone, 'b'), EXPECTED);
      const again = seen.slice(before).filter(({ head }) => head.type === TYPE.A).length - NAMES;
      // Hedged queries, and late ones on a busy machine, come in addition.
      assert.ok(again <= NAMES / 2, `${again} queries more than names`);
    });
  }
});

describe('an upstream without EDNS answers thirty names at once', () => {
  for (const { zone } of EDNS) {
    it(`${zone}, and then gets queries without EDNS`, async () => {
      assert.deepEqual(await askAtOnce(zone, 'a'), EXPECTED);
      const { seen } = serverOf(zone);
      // The agent's own question shows the cause, which takes a moment where the upstream is silent.
      await eventually(`${zone} is asked without EDNS`, async () => {
        const before = seen.length;
        await overUdp(subject, query(`w${before}.${zone}`), PATIENCE_MS);
        return seen.slice(before).every(({ head }) => !head.hasOpt);
      });
      assert.deepEqual(await askAtOnce(zone, 'b'), EXPECTED);
      // After the length of the first label.
      const isAsked = ({ head, message }: Asked): boolean =>
        head.hasOpt && message[HEADER_BYTES + 1] === 'b'.charCodeAt(0);
      // After ten seconds the agent sends a second one, and a late one may use the other transport.
      const withOpt = seen.filter(isAsked).length;
      assert.ok(withOpt <= NAMES / 3, `${withOpt} with EDNS`);
      if (zone === 'told.test') assert.equal(seen.filter(({ head }) => head.hasOpt).length, 0);
    });
  }
});

describe("an error without a question reaches the client with the client's question", () => {
  for (const { zone, rcode } of ERRORS) {
    it(zone, async () => {
      const name = `WwW.${zone}`;
      const response = await overUdp(subject, query(name), PATIENCE_MS);
      assert.ok(response, 'no answer');
      assert.equal(flagsOf(response) & 0xf, RCODE[rcode]);
      assert.deepEqual(decode(response).questions, [{ name, type: 'A', class: 'IN' }]);
    });
  }
});
