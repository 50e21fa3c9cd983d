/** Plays a scenario in a new fixture; throws AssertionError, with file and line, where the result differs. */
import assert from 'node:assert/strict';
import { FLAG } from '../../../agent/dns/header.ts';
import { RCODE, type TYPE } from '../../../agent/dns/iana.ts';
import { type Asked, type AskFields, type Got, ReplayFixture } from './fixture.ts';
import { changed, fieldsOf, type Line, parseChange, type Scenario, timeMs } from './scenario.ts';
import { type Behaviour, GOOD, STATES, type State } from './upstream.ts';

/** Longer than any query may take. */
const PATIENCE_MS = 10_000;
/** The client's budget in the Corefiles of the table. */
const BUDGET_MS = 200;
/** Client subnet 192.0.2.0/24 (RFC 7871). */
const ECS = Uint8Array.of(0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2);

/** A cell of the table in docs/outages.md. */
export interface Shown {
  readonly row: string;
  readonly column: string;
  readonly text: string;
}

export async function play(scenario: Scenario, corefile = scenario.corefile): Promise<Shown[]> {
  const player = new Player(corefile);
  for (const line of scenario.steps) {
    try {
      await player.step(line);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      error.message = `${scenario.file}:${line.number}: ${line.word} ${line.rest}: ${error.message}`;
      throw error;
    }
  }
  await player.close();
  return player.shown;
}

class Player {
  readonly shown: Shown[] = [];
  #fixture: ReplayFixture;
  #corefile: string;
  #asked: Asked[] = [];
  #sentSeen = 0;
  #probesSeen = 0;
  #show: { row: string; column: string } | undefined;

  constructor(corefile: string) {
    this.#corefile = corefile;
    this.#fixture = new ReplayFixture(corefile);
  }

  async close(): Promise<void> {
    await this.#fixture.close();
    assert.equal(this.#fixture.metrics.value('coredns_panics_total'), 0, 'a plugin failed');
  }

  async step({ word, rest }: Line): Promise<void> {
    switch (word) {
      case 'upstream':
        this.#upstream(rest);
        return;
      case 'ask':
        await this.#ask(rest);
        return;
      case 'expect':
        await this.#expect(rest);
        return;
      case 'wait':
        await this.#fixture.clock.advance(timeMs(rest));
        return;
      case 'sent':
        this.#sent(rest);
        return;
      case 'probes':
        check(this.#fixture.upstream.probes - this.#probesSeen, rest);
        this.#probesSeen = this.#fixture.upstream.probes;
        return;
      case 'transport':
        assert.equal(this.#fixture.upstream.arrived.at(-1)?.transport, rest);
        return;
      case 'metric':
        this.#metric(rest);
        return;
      case 'reload':
        this.#corefile = changed(this.#corefile, parseChange(rest));
        this.#fixture.configure(this.#corefile);
        return;
      case 'restart':
        this.#fixture = this.#fixture.restarted(timeMs(rest));
        this.#sentSeen = 0;
        this.#probesSeen = 0;
        return;
      case 'show': {
        const [row = '', column = ''] = rest.split(/\s*\|\s*/);
        this.#show = { row, column };
        return;
      }
      default:
        throw new Error('no such step');
    }
  }

  #upstream(rest: string): void {
    const { fields, words } = fieldsOf(rest);
    const [address = '', state = ''] = words;
    assert.ok((STATES as readonly string[]).includes(state), `no state ${state}`);
    const after = fields.get('after');
    const a = fields.get('a');
    const behaviour: Behaviour = {
      state: state as State,
      afterMs: after === undefined ? GOOD.afterMs : timeMs(after),
      ttlSeconds: Number(fields.get('ttl') ?? GOOD.ttlSeconds),
      address: a === undefined ? GOOD.address : a.split('.').map(Number),
    };
    this.#fixture.upstream.set(address, behaviour);
  }

  async #ask(rest: string): Promise<void> {
    const [name = '', type = '', ...words] = rest.split(/\s+/);
    const times = Number(words.find((word) => /^x\d+$/.test(word))?.slice(1) ?? 1);
    const fields: AskFields = {
      name,
      type: type as keyof typeof TYPE,
      dnssecOk: words.includes('do'),
      checkingDisabled: words.includes('cd'),
      edns: !words.includes('noedns'),
      transport: words.includes('tcp') ? 'tcp' : 'udp',
      ...(words.includes('ecs') ? { options: ECS } : {}),
    };
    this.#asked = [];
    for (let i = 0; i < times; i++) {
      this.#asked.push(this.#fixture.ask({ ...fields, name: name.replace('%', String(i)) }));
    }
    await this.#fixture.clock.advance(0);
  }

  async #expect(rest: string): Promise<void> {
    const { clock } = this.#fixture;
    const isOpen = (): boolean => this.#asked.some(({ got }) => got === undefined);
    for (let waited = 0; isOpen() && waited < PATIENCE_MS; waited++) await clock.advance(1);
    for (const { got } of this.#asked) {
      assert.ok(got !== undefined, `no answer within ${PATIENCE_MS} ms`);
      matches(got, rest);
    }
    const got = this.#asked[0]?.got;
    if (this.#show === undefined || got === undefined) return;
    this.shown.push({ ...this.#show, text: describe(got) });
    this.#show = undefined;
  }

  #sent(rest: string): void {
    const { arrived } = this.#fixture.upstream;
    check(arrived.length - this.#sentSeen, rest);
    this.#sentSeen = arrived.length;
    for (const { message } of arrived) {
      assert.ok(!message.includes(Buffer.from(ECS)), 'a client subnet went upstream');
    }
  }

  #metric(rest: string): void {
    const [, name = '', labels = '', bound = ''] =
      /^(\w+)(?:\{(.*)\})?\s+(<?=?\d+)$/.exec(rest) ?? [];
    const wanted = Object.fromEntries(
      Array.from(labels.matchAll(/(\w+)="([^"]*)"/g), ([, key, value]) => [key, value]),
    ) as Record<string, string>;
    check(this.#fixture.metrics.value(name, wanted), bound);
  }
}

/** `bound` is a number, or `<=` and one. */
function check(value: number, bound: string): void {
  if (bound.startsWith('<=')) assert.ok(value <= Number(bound.slice(2)), `${value} are too many`);
  else assert.equal(value, Number(bound));
}

const FLAGS: Readonly<Record<string, number>> = {
  aa: FLAG.AA,
  ad: FLAG.AD,
  tc: FLAG.TC,
  ra: FLAG.RA,
};

function matches(got: Got, rest: string): void {
  const { fields, words } = fieldsOf(rest);
  const [rcode] = words;
  if (rcode !== undefined) assert.equal(rcodeName(got.rcode), rcode);
  for (const [key, value] of fields) {
    if (key === 'a') assert.deepEqual(got.addresses, value === 'none' ? [] : [value]);
    else if (key === 'ttl') assert.equal(got.ttlSeconds, Number(value), 'TTL');
    else if (key === 'ede') assert.equal(String(got.extended ?? 'none'), value, 'extended error');
    else if (key === 'after') assert.equal(got.afterMs, timeMs(value), 'time to the answer');
    else if (key === 'after<') assert.ok(got.afterMs <= timeMs(value), `after ${got.afterMs} ms`);
    else if (key in FLAGS) {
      assert.equal(Number((got.flags & (FLAGS[key] as number)) !== 0), Number(value), key);
    } else throw new Error(`unknown key ${key}`);
  }
}

export function rcodeName(rcode: number): string {
  return Object.entries(RCODE).find(([, code]) => code === rcode)?.[0] ?? String(rcode);
}

/** The client's result, in the words of the table. */
function describe({ rcode, flags, addresses, ttlSeconds, extended, afterMs }: Got): string {
  const after = afterMs === 0 ? 'at once' : afterMs <= BUDGET_MS ? 'within 200 ms' : 'within 4 s';
  const name = rcodeName(rcode);
  if (rcode === RCODE.NOERROR && addresses.length > 0) {
    const kind = extended === 3 ? 'stale' : 'fresh';
    return `${kind} answer, TTL ${ttlSeconds}, ${after}`;
  }
  const isCut = (flags & FLAG.TC) !== 0;
  const what = rcode === RCODE.NOERROR ? (isCut ? 'truncated answer' : 'empty answer') : name;
  return `${what}${extended === undefined ? '' : ` + EDE ${extended}`}, ${after}`;
}
