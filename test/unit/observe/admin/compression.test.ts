import assert from 'node:assert/strict';
import { type IncomingHttpHeaders, request } from 'node:http';
import { afterEach, beforeEach, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { AdminServer } from '../../../../agent/observe/admin/admin.ts';
import { gzipped, MIN_BYTES } from '../../../../agent/observe/admin/compression.ts';
import { adminServer } from '../../../support/admin.ts';
import { fakeServices } from '../../../support/services.ts';

const ADDRESS = '127.0.0.1:0';
const TEXT = 'coredns_dns_requests_total{server="dns://:53"} 1\n'.repeat(2_000);
const PARTS = [Buffer.from(TEXT.slice(0, 20_000)), Buffer.from(TEXT.slice(20_000))];

let admin: AdminServer;
beforeEach(async () => {
  admin = adminServer(fakeServices());
  const page = (path: string, contentType: string, body: string | readonly Uint8Array[]) => ({
    ...{ address: ADDRESS, path },
    handler: () => ({ status: 200, contentType, body }),
  });
  await admin.reconcile([
    page('/metrics', 'text/plain; version=0.0.4', PARTS),
    page('/health', 'text/plain', 'OK'),
    page('/profile', 'application/octet-stream', PARTS),
  ]);
});
afterEach(() => admin.close());

function ask(path: string, coding?: string, method = 'GET') {
  const headers = coding === undefined ? {} : { 'Accept-Encoding': coding };
  const port = admin.ports.get(ADDRESS);
  return new Promise<{ headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
    sent.on('error', reject).on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(parts) }));
    });
    sent.end();
  });
}

for (const coding of ['gzip', 'deflate, GZIP;q=0.5', 'x-gzip', '*', 'br;q=1.0, gzip; q=0.1'])
  it(`a client that accepts "${coding}" gets a long text compressed`, async () => {
    const { headers, body } = await ask('/metrics', coding);
    assert.equal(headers['content-encoding'], 'gzip');
    assert.equal(headers['content-length'], `${body.length}`);
    assert.ok(body.length * 10 < TEXT.length, `${body.length} bytes`);
    assert.equal(gunzipSync(body).toString(), TEXT);
  });

for (const coding of [undefined, '', 'identity', 'br', 'gzip;q=0', 'gzip; q=0.000', 'gzipped'])
  it(`a client that accepts "${coding}" gets the text as it is`, async () => {
    const { headers, body } = await ask('/metrics', coding);
    assert.equal(headers['content-encoding'], undefined);
    assert.equal(body.toString(), TEXT);
  });

it('HEAD has the headers of GET, and no body', async () => {
  const [get, head] = [await ask('/metrics', 'gzip'), await ask('/metrics', 'gzip', 'HEAD')];
  assert.equal(head.headers['content-length'], get.headers['content-length']);
  assert.equal(head.headers['content-encoding'], 'gzip');
  assert.equal(head.body.length, 0);
});

it('short texts and bodies that are no text are sent as they are', async () => {
  assert.equal((await ask('/health', 'gzip')).body.toString(), 'OK');
  assert.equal(gzipped([Buffer.alloc(MIN_BYTES - 1)]), undefined);
  assert.notEqual(gzipped([Buffer.alloc(MIN_BYTES)]), undefined);
  const profile = await ask('/profile', 'gzip');
  assert.equal(profile.headers['content-encoding'], undefined);
  assert.equal(profile.body.toString(), TEXT);
});

it('clients that share a rendering share its compression', () => {
  assert.notEqual(gzipped(PARTS), undefined);
  assert.equal(gzipped(PARTS), gzipped(PARTS));
  assert.notEqual(gzipped([...PARTS]), gzipped(PARTS));
});
