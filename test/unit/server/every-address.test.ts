/** Listeners on every address: with one socket for each family, and where that is not possible, with one for each address. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { askedEndpoint } from '../../../agent/query/asked.ts';
import { ZoneTable } from '../../../agent/query/routing.ts';
import { loadAddon } from '../../../agent/server/addon.ts';
import { Dispatcher } from '../../../agent/server/dispatch.ts';
import { LOOK_MS } from '../../../agent/server/listen/each-address.ts';
import { Listeners, type ListenersOptions } from '../../../agent/server/listeners.ts';
import { sharedListen, takeoverListen } from '../../../agent/server/tcp/reuseport-takeover.ts';
import { batchOpener } from '../../../agent/server/udp/batch.ts';
import { openDgram } from '../../../agent/server/udp/dgram.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ledgerWith } from '../../support/ledger.ts';
import { eventually } from '../../support/netns/netns.ts';
import { answerTo, queryWire } from '../../support/server/fixture.ts';
import { overTcp, overUdp } from '../../support/server/subject.ts';
import { ReadableMetrics, RecordingLogger } from '../../support/services.ts';

const port = 30_000 + (process.pid % 10_000);
const EVERY = { address: '', port };
const SPECIFIC = { address: '127.0.0.7', port };
const LABEL = `dns://:${port}`;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Seen {
  readonly label: string;
  readonly asked: string | undefined;
  readonly family: number | undefined;
}

function made(options: Partial<ListenersOptions> = {}) {
  const metrics = new ReadableMetrics();
  const clock = new FakeClock();
  const log = new RecordingLogger();
  const dispatcher = new Dispatcher(log, { value: 0 });
  const seen: Seen[] = [];
  const addresses: string[] = [];
  const listeners = new Listeners({
    ...{ openUdp: openDgram, isUdpWildcard: false, listenTcp: sharedListen, dispatcher },
    ...{ clock, metrics, log, ledger: ledgerWith(), onLimited: () => undefined },
    ...{ addresses: () => addresses, intercepted: [] },
    ...options,
  });
  const route = {
    zone: '.',
    handler: (query: Parameters<typeof answerTo>[0]) => {
      const { label, family } = query.server;
      seen.push({ label, family, asked: askedEndpoint(query)?.address });
      return answerTo(query);
    },
    requestMetrics: undefined,
    anyClass: false,
  };
  const table = new ZoneTable([route], undefined);
  dispatcher.swap([table, table, table]);
  closers.push(() => listeners.close());
  return { listeners, metrics, clock, log, seen, addresses };
}

/** The addresses that answer over UDP, and those over TCP, within `waitMs`. */
async function answering(hosts: readonly string[], waitMs: number): Promise<string[][]> {
  const query = queryWire('a.test', 1);
  const over = async (ask: typeof overUdp): Promise<string[]> => {
    const responses = await Promise.all(hosts.map((host) => ask({ host, port }, query, waitMs)));
    return hosts.filter((_, i) => responses[i] !== undefined);
  };
  return await Promise.all([over(overUdp), over(overTcp)]);
}

/** Each of `hosts` answers over UDP and TCP. */
async function assertServed(...hosts: string[]): Promise<void> {
  assert.deepEqual(await answering(hosts, 20_000), [hosts, hosts]);
}

/** None does. */
async function assertSilent(...hosts: string[]): Promise<void> {
  assert.deepEqual(await answering(hosts, 200), [[], []]);
}

async function isServed(host: string): Promise<boolean> {
  return (await answering([host], 500)).flat().length === 2;
}

const warnings = (log: RecordingLogger): string[] =>
  log.records.filter(({ level }) => level === 'warn').map(({ message }) => message);

describe('without sockets of every address', () => {
  it('each address has its own socket, under one label; sockets follow new and removed addresses', async () => {
    const { listeners, clock, log, seen, addresses } = made();
    addresses.push('127.0.0.2', '::1', '192.0.2.1');
    await listeners.open([EVERY]);
    assert.deepEqual(listeners.endpoints, [EVERY]);
    await assertServed('127.0.0.2', '::1');
    const reported = seen.map(({ label, asked, family }) => `${label} ${asked} ${family}`);
    assert.deepEqual(new Set(reported), new Set([`${LABEL} 127.0.0.2 4`, `${LABEL} ::1 6`]));
    assert.match(
      warnings(log).join(),
      /cannot open one socket for all addresses .*: opening one for each/,
    );
    const { event, remedy } = log.records.find(({ level }) => level === 'warn')?.fields ?? {};
    assert.deepEqual(
      [event, /why the addon is not used/.test(String(remedy))],
      ['each-address', true],
    );

    addresses.splice(0, 1, '127.0.0.3');
    await assertServed('127.0.0.2');
    await assertSilent('127.0.0.3');
    await clock.advance(LOOK_MS);
    await eventually('the new address', () => isServed('127.0.0.3'));
    await assertServed('::1');
    await assertSilent('127.0.0.2');
    await listeners.close();
    assert.equal(clock.pendingTimers, 0);
    await assertSilent('127.0.0.3', '::1');
  });

  it('leave an address to the listener bound to it', async () => {
    const { listeners, clock, seen, addresses } = made();
    addresses.push('127.0.0.2', SPECIFIC.address);
    await listeners.open([EVERY, SPECIFIC]);
    await clock.advance(LOOK_MS);
    await assertServed('127.0.0.2', SPECIFIC.address);
    const labels = seen.map(({ label, asked }) => `${label} ${asked}`);
    const own = `dns://127.0.0.7:${port} 127.0.0.7`;
    assert.deepEqual(new Set(labels), new Set([`${LABEL} 127.0.0.2`, own]));
    await listeners.retain([EVERY]);
    await clock.advance(LOOK_MS);
    await eventually('the wildcard to have it', async () => {
      seen.length = 0;
      await isServed(SPECIFIC.address);
      return seen.length === 2 && seen.every(({ label }) => label === LABEL);
    });
  });

  it('log once which address cannot be bound later, and keep trying', async () => {
    const { listeners, clock, log, addresses } = made();
    addresses.push('127.0.0.2');
    await listeners.open([EVERY]);
    const holder = createServer().listen(port, '127.0.0.4');
    closers.push(() => holder.close());
    await once(holder, 'listening');
    addresses.push('127.0.0.4');
    const reported = () => warnings(log).filter((line) => line.includes('127.0.0.4'));
    await clock.advance(LOOK_MS);
    await eventually('the log line', () => reported().length === 1);
    await clock.advance(3 * LOOK_MS);
    addresses.push('127.0.0.5');
    await clock.advance(LOOK_MS);
    await eventually('a later check is over', () => isServed('127.0.0.5'));
    assert.equal(reported().length, 1);
    assert.match(
      reported().join(),
      /^cannot listen on 127\.0\.0\.4:\d+, will retry: cannot bind 127\.0\.0\.4:\d+\/tcp: .*EADDRINUSE/,
    );
    await new Promise((resolve) => void holder.close(resolve));
    await clock.advance(LOOK_MS);
    await eventually('it is served', () => isServed('127.0.0.4'));
  });

  it('fail to open where another server has one of the addresses, and leave no socket open', async () => {
    const { listeners, clock, addresses } = made();
    addresses.push('127.0.0.2', '127.0.0.4');
    const holder = createServer().listen(port, '127.0.0.4');
    await once(holder, 'listening');
    closers.push(() => holder.close());
    await assert.rejects(listeners.open([EVERY]), { phase: 'bind', errno: 'EADDRINUSE' });
    assert.equal(clock.pendingTimers, 0);
    await assertSilent('127.0.0.2');
  });
});

const addon = loadAddon();
if (!(addon instanceof Error)) {
  const native = {
    ...{ openUdp: batchOpener(addon), isUdpWildcard: true, listenTcp: takeoverListen(addon) },
  };

  describe('sockets of every address', () => {
    it('serve addresses that are local by route, beside listeners of single addresses and intercepted addresses', async () => {
      const intercepted = [{ address: '127.0.0.20', port }];
      const { listeners, seen } = made({ ...native, intercepted });
      await listeners.open([EVERY, SPECIFIC]);
      assert.deepEqual(new Set(listeners.endpoints), new Set([EVERY, SPECIFIC]));
      for (const [address, label] of [
        ['127.0.0.10', LABEL],
        ['127.0.0.20', LABEL],
        ['::1', LABEL],
        [SPECIFIC.address, `dns://127.0.0.7:${port}`],
      ] as const) {
        seen.length = 0;
        await assertServed(address);
        assert.deepEqual(
          [...new Set(seen.map((one) => `${one.label} ${one.asked}`))],
          [`${label} ${address}`],
        );
      }
    });

    it('are for IPv4 only where the kernel has no IPv6', async () => {
      const listenTcp: ListenersOptions['listenTcp'] = (server, endpoint, backlog) => {
        const fault = Object.assign(new Error('no such family'), { code: 'EAFNOSUPPORT' });
        return endpoint.address === '::'
          ? Promise.reject(fault)
          : native.listenTcp(server, endpoint, backlog);
      };
      const { listeners, log } = made({ ...native, listenTcp });
      await listeners.open([EVERY]);
      await assertServed('127.0.0.10');
      await assertSilent('::1');
      assert.deepEqual(warnings(log), []);
    });

    it('count their TCP connections together', async () => {
      const { listeners, metrics } = made(native);
      await listeners.open([EVERY]);
      const open: Socket[] = [];
      const connections = () => metrics.value('nodens_tcp_connections', { listener: LABEL });
      for (const host of ['127.0.0.10', '::1', '::1']) open.push(connect(port, host));
      await eventually('three', () => connections() === 3);
      open.shift()?.destroy();
      await eventually('two', () => connections() === 2);
      for (const socket of open) socket.destroy();
      await eventually('none', () => connections() === 0);
    });

    it('are replaced by one for each address where another server has one of them', async () => {
      const { listeners, log, addresses, seen } = made(native);
      addresses.push('127.0.0.2', '::1');
      const holder = createServer().listen(port, '127.0.0.53');
      await once(holder, 'listening');
      closers.push(() => holder.close());
      await listeners.open([EVERY]);
      await assertServed('127.0.0.2', '::1');
      assert.ok(seen.every(({ label }) => label === LABEL));
      assert.match(warnings(log).join(), /cannot bind 0\.0\.0\.0:\d+\/tcp: .*EADDRINUSE/);
      const [reported] = log.records.filter(({ fields }) => fields.event === 'each-address');
      assert.match(String(reported?.fields.remedy), new RegExp(`ss -lntup 'sport = :${port}'`));
    });

    it('take over from older sockets of any kind, and hand over to newer ones', async () => {
      const [old, next, last] = [made(native), made(native), made(native)];
      await old.listeners.open([{ address: '127.0.0.2', port }]);
      await next.listeners.open([EVERY]);
      await assertServed('127.0.0.2', '127.0.0.3');
      assert.deepEqual([old.seen.length, next.seen.length], [2, 2], 'each has its addresses');
      await old.listeners.close();
      await assertServed('127.0.0.2');
      assert.equal(next.seen.length, 4);
      await last.listeners.open([EVERY]);
      await assertServed('127.0.0.2', '::1');
      assert.deepEqual([next.seen.length, last.seen.length], [4, 4]);
    });
  });
}
