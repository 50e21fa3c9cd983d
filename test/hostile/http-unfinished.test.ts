/** A client that occupies every place of the admin ports, again and again, cannot lock out other clients. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { LIMITS } from '../../agent/base/limits.ts';
import { type HostileAgent, startAgent } from '../support/hostile/agent.ts';
import { Neighbour } from '../support/hostile/pod/neighbour.ts';
import { RawClient } from '../support/hostile/raw-client.ts';
import { scrape } from '../support/hostile/scrape.ts';
import { allowedMs } from '../support/machine.ts';

const MAX_SCRAPE_MS = await allowedMs(1_000);

const ATTACKER = '127.0.0.1';
const PLACES = LIMITS.adminConnections.default;
const SECONDS = 3;

/** The start of a request without its end. */
const BEGINNINGS: Readonly<Record<string, string>> = {
  'unfinished requests': 'GET /metrics HTTP/1.1\r\nHost: x\r\n',
  'connections without a byte': '',
  'bodies that do not come': 'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n',
  'what is not HTTP': '\u0016\u0003\u0001\r\n',
};

/** Keeps as many connections as there are places, and reopens those that the agent has closed. */
class Attacker {
  readonly #port: number;
  readonly #sends: string;
  #held: RawClient[] = [];
  #isOver = false;
  made = 0;

  constructor(port: number, sends: string) {
    this.#port = port;
    this.#sends = sends;
  }

  async fill(): Promise<void> {
    this.#held = this.#held.filter((one) => !one.isEnded);
    while (this.#held.length < PLACES) {
      const one = await RawClient.open({ port: this.#port, localAddress: ATTACKER });
      one.read();
      if (this.#sends !== '') one.send(this.#sends);
      this.#held.push(one);
      this.made++;
    }
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      await this.fill();
      await pause(20);
    }
    for (const one of this.#held) one.close();
  }

  stop(): void {
    this.#isOver = true;
  }
}

describe('every place occupied by one client', () => {
  let agent: HostileAgent;
  before(async () => {
    agent = await startAgent();
  });
  after(() => agent.stop());

  for (const [name, sends] of Object.entries(BEGINNINGS)) {
    it(`by ${name}`, async () => {
      const neighbour = await Neighbour.open(agent.ports.dns);
      neighbour.start(20);
      const attacker = new Attacker(agent.ports.metrics, sends);
      await attacker.fill();
      const running = attacker.run();
      try {
        const endMs = performance.now() + SECONDS * 1_000;
        let scrapes = 0;
        while (performance.now() < endMs) {
          const { status, tookMs } = await scrape(agent.ports.metrics, '127.0.0.2');
          assert.equal(status, 200);
          assert.ok(tookMs < MAX_SCRAPE_MS, `a scrape took ${tookMs} ms`);
          scrapes++;
          await pause(100);
        }
        assert.ok(scrapes > 5, `${scrapes} scrapes`);
      } finally {
        attacker.stop();
        await running;
      }
      assert.ok(attacker.made > PLACES, `${attacker.made} connections`);
      const { asked, lost } = await neighbour.close();
      assert.equal(lost, 0, `${lost} of ${asked} hits lost`);
      assert.ok(agent.isRunning);
    });
  }

  it('is logged, with the client’s address', async () => {
    assert.ok((await agent.metric('nodens_client_limited_total', { client: ATTACKER })) > 0);
    assert.equal(await agent.metric('nodens_client_limited_total', { client: '127.0.0.2' }), 0);
    assert.match(agent.log(), /"what":"http","client":"127\.0\.0\.1"/);
    assert.match(agent.log(), /"what":"http_nonsense","client":"127\.0\.0\.1"/);
  });
});
