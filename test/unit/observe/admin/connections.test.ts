/** A client of an admin port may not use up places, memory or time of other clients. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { clientKey } from '../../../../agent/base/clients/client-key.ts';
import { LIMITS } from '../../../../agent/base/limits.ts';
import type { AdminServer } from '../../../../agent/observe/admin/admin.ts';
import type { AdminHandler } from '../../../../agent/query/services/admin.ts';
import { adminServer } from '../../../support/admin.ts';
import { settle } from '../../../support/fake-clock.ts';
import { RawClient } from '../../../support/hostile/raw-client.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

const ADDRESS = '127.0.0.1:0';
const GET = 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n';
/** More than the kernel buffers for a client that does not read. */
const LARGE = Buffer.alloc(12 * 2 ** 20, 'x');
const PAGE = Buffer.alloc(200 * 1_024, 'x');

const answer = (body: string | Uint8Array): AdminHandler => {
  return () => ({ status: 200, contentType: 'text/plain', body });
};

describe('connections to admin ports', () => {
  let services: FakeServices;
  let admin: AdminServer;
  let clients: RawClient[];

  const serve = (handler: AdminHandler): Promise<void> => {
    admin = adminServer(services);
    return admin.reconcile([{ address: ADDRESS, path: '/a', handler }]);
  };
  const client = async (localAddress = '127.0.0.1'): Promise<RawClient> => {
    const opened = await RawClient.open({ port: admin.ports.get(ADDRESS) as number, localAddress });
    clients.push(opened);
    return opened;
  };
  const closed = (reason: string): number =>
    services.metrics.value('nodens_admin_connections_closed_total', { address: ADDRESS, reason });
  const limited = (what: string, client: string): number =>
    services.metrics.value('nodens_client_limited_total', { what, client });
  const open = (): number =>
    services.metrics.value('nodens_admin_connections', { address: ADDRESS });
  /** Runs everything that is due without advancing the clock. */
  const quiet = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) await settle();
  };

  beforeEach(() => {
    services = fakeServices();
    clients = [];
  });
  afterEach(async () => {
    for (const opened of clients) opened.close();
    await admin.close();
    await eventually('every connection is gone', () => services.ledger.usedBytes === 0);
    assert.equal(open(), 0);
  });

  it('answers pipelined requests one after the other', async () => {
    let [asked, atOnce, mostAtOnce] = [0, 0, 0];
    await serve(async () => {
      mostAtOnce = Math.max(mostAtOnce, ++atOnce);
      await settle();
      atOnce--;
      return { status: 200, contentType: 'text/plain', body: `${++asked};` };
    });
    const one = await client();
    one.read();
    one.send(GET.repeat(300));
    await eventually('all are answered', () => one.text.endsWith('\r\n\r\n300;'));
    assert.deepEqual(
      [...one.text.matchAll(/\r\n\r\n(\d+);/g)].map(([, body]) => Number(body)),
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
    assert.equal(mostAtOnce, 1);
  });

  it('reads no request while a response is pending', async () => {
    let asked = 0;
    const go: (() => void)[] = [];
    await serve(async () => {
      asked++;
      await new Promise<void>((resolve) => go.push(resolve));
      return { status: 200, contentType: 'text/plain', body: 'a' };
    });
    const one = await client();
    one.read();
    one.send(GET.repeat(3));
    await eventually('the first is asked', () => asked === 1);
    await quiet();
    assert.equal(asked, 1);
    go.shift()?.();
    await eventually('the second is asked', () => asked === 2);
    await quiet();
    assert.deepEqual([asked, one.statuses.length], [2, 1]);
  });

  it('renders no page for a client that does not read the previous ones', async () => {
    let asked = 0;
    await serve(() => {
      asked++;
      return { status: 200, contentType: 'text/plain', body: PAGE };
    });
    const one = await client();
    one.send(GET.repeat(1_000));
    await eventually('it is served', () => asked > 0);
    await quiet();
    const most = Math.ceil(LIMITS.adminConnectionBytes.default / PAGE.length);
    assert.ok(asked <= most, `${asked} pages`);
    const { usedBytes } = services.ledger;
    assert.ok(usedBytes <= LIMITS.adminConnectionBytes.default + 2 * PAGE.length, `${usedBytes}`);
    assert.ok(usedBytes >= asked * PAGE.length, `${usedBytes}`);
    await services.clock.advance(LIMITS.adminResponseMs.default);
    await eventually('it is closed', () => open() === 0);
    assert.equal(closed('response_timeout'), 1);
  });

  it('marks the last response of a connection, and waits until the client has read it', async () => {
    await serve(answer(PAGE));
    const one = await client();
    one.read();
    const most = Math.ceil(LIMITS.adminConnectionBytes.default / PAGE.length);
    one.send(GET.repeat(most));
    await eventually('the connection has ended', () => one.isEnded);
    const { statuses, text } = one;
    assert.equal(statuses.length, most);
    assert.equal(text.match(/^Connection: close/gm)?.length, 1);
    assert.equal(text.match(/x{204800}/g)?.length, statuses.length, 'no page is cut off');
    one.close();
    await eventually('its place is free', () => open() === 0);
    assert.equal(closed('response_timeout'), 0);
  });

  it('allows five seconds for a request, however slowly it arrives', async () => {
    await serve(answer('a'));
    const [idle, slow] = [await client(), await client()];
    for (const one of [idle, slow]) one.read();
    await eventually('both are here', () => open() === 2);
    for (let second = 0; second < 5; second++) {
      slow.send('GET /'.charAt(second));
      await quiet();
      assert.equal(slow.isEnded, false, `${second}`);
      await services.clock.advance(1_000);
    }
    await eventually('both are closed', () => idle.isEnded && slow.isEnded);
    assert.deepEqual([idle.statuses, slow.statuses], [[408], [408]]);
    for (const one of [idle, slow]) one.close();
    await eventually('their places are free', () => open() === 0);
    assert.equal(closed('request_timeout'), 2);
    const [line] = services.log.records.filter(({ level }) => level === 'warn');
    assert.equal(line?.fields.client, '127.0.0.1');
    assert.equal(limited('http_slow', '127.0.0.1'), 2);
  });

  it('allows ten seconds for a response, also where the client reads slowly', async () => {
    await serve(answer(LARGE));
    const one = await client();
    one.send(GET);
    await eventually('it waits for the client', () => services.ledger.usedBytes > LARGE.length / 2);
    await quiet();
    await services.clock.advance(LIMITS.adminResponseMs.default - 1);
    assert.equal(open(), 1);
    await services.clock.advance(1);
    await eventually('it is closed', () => open() === 0);
    assert.equal(closed('response_timeout'), 1);
    one.read();
    await eventually('the client sees it', () => one.isClosed);
    assert.ok(one.text.length < LARGE.length);
  });

  it('closes an idle connection without a response', async () => {
    await serve(answer('a'));
    const one = await client();
    one.read();
    one.send(GET);
    await eventually('it is answered', () => one.text.endsWith('a'));
    await quiet();
    await services.clock.advance(LIMITS.adminIdleMs.default - 1);
    one.send(GET);
    await eventually('it is answered again', () => one.statuses.length === 2);
    await quiet();
    await services.clock.advance(LIMITS.adminIdleMs.default);
    await eventually('it has ended', () => one.isEnded);
    one.close();
    await eventually('its place is free', () => open() === 0);
    assert.deepEqual(
      services.log.records.filter(({ level }) => level === 'warn'),
      [],
    );
  });

  it('has a place for another client, whatever one client does', async () => {
    await serve(answer('a'));
    const max = LIMITS.adminConnections.default;
    for (let i = 0; i < max; i++) (await client()).send('GET /a HTTP/1.1\r\n');
    await eventually('it has all places', () => open() === max);
    const prometheus = await client('127.0.0.2');
    prometheus.read();
    for (let i = 0; i < max; i++) (await client()).send('GET');
    prometheus.send(GET);
    await eventually('the other one is answered', () => prometheus.text.endsWith('a'));
    assert.equal(open(), max);
    assert.equal(closed('connections'), max + 1);
    const others = clients.filter((each) => each !== prometheus);
    for (const each of others) each.read();
    await eventually('its oldest ones were closed', () =>
      others.every((each, i) => each.isClosed === i <= max),
    );
    const [line] = services.log.records.filter(({ level }) => level === 'warn');
    assert.equal(line?.fields.client, '127.0.0.1');
    assert.equal(limited('http', '127.0.0.1'), max + 1);
    assert.equal(limited('http', '127.0.0.2'), 0);
  });

  it('is closed where memory is short, and the other connections continue', async () => {
    const ledger = ledgerWith(4 * 2 ** 20);
    services = fakeServices({ ledger });
    let body: string | Uint8Array = 'a';
    await serve(() => ({ status: 200, contentType: 'text/plain', body }));
    const good = await client('127.0.0.2');
    good.read();
    good.send(GET);
    await eventually('it is answered', () => good.text.endsWith('a'));
    body = LARGE;
    (await client()).send(GET);
    await eventually('the largest is closed', () => closed('memory') === 1);
    assert.equal(ledger.share(clientKey('127.0.0.1')).bytes, 0);
    body = 'b';
    good.send(GET);
    await eventually('it is answered again', () => good.text.endsWith('b'));
  });

  it('counts what is not HTTP, and names the client that sent it', async () => {
    await serve(answer('a'));
    const one = await client('127.0.0.3');
    one.read();
    one.send('\u0016\u0003\u0001 hello\r\n');
    await eventually('it is refused', () => one.isClosed);
    assert.equal(closed('malformed'), 1);
    assert.equal(services.log.records.at(-1)?.fields.client, '127.0.0.3');
    assert.equal(limited('http_nonsense', '127.0.0.3'), 1);
  });

  it('reads a bounded number of empty lines', async () => {
    await serve(answer('a'));
    const one = await client();
    one.read();
    for (let i = 0; i < 100 && !one.isClosed; i++) {
      one.send('\r\n'.repeat(1_000));
      await quiet();
    }
    assert.equal(one.isClosed, true);
    assert.equal(closed('malformed'), 1);
  });

  it('answers a client that has ended its side, and closes once it has read the response', async () => {
    await serve(answer(PAGE));
    const one = await client();
    one.read();
    one.send(GET);
    one.half();
    await eventually('it is answered', () => one.text.endsWith(PAGE.toString()));
    assert.deepEqual(one.statuses, [200]);
    await quiet();
    await services.clock.advance(2_000);
    await eventually('it is closed', () => open() === 0);
    assert.deepEqual(
      services.log.records.filter(({ level }) => level === 'warn'),
      [],
    );
  });

  it('closes the connection after a request with a body, which it does not read', async () => {
    await serve(answer('a'));
    const one = await client();
    one.read();
    one.send('GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');
    one.send('y'.repeat(100_000) + GET);
    await eventually('it has ended', () => one.isEnded);
    assert.deepEqual(one.statuses, [200]);
    assert.match(one.text, /^Connection: close/m);
  });
});
