/**
 * `bursts.ts PORT METRICS ROUNDS ACCEPT`: how late a page makes cached answers. In each round it asks for a cached name every
 * millisecond, once while it gets /metrics, and once for as long without a page. It writes the latency of the latest hit of
 * each burst as JSON: `{"scraped": […], "quiet": […], "bytes": N}`, in milliseconds.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { queryWire } from '../server/fixture.ts';

const NAME = 'neighbour.test';
const HOST = '127.0.0.1';
const ACCEPT = process.argv[5] ?? '*/*';
const GET = `GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nAccept: ${ACCEPT}\r\n\r\n`;
const EVERY_MS = 1;
/** Longer than a page is reused. */
const BETWEEN_MS = 300;
const IN_TIME_MS = 5_000;

const [port = 0, metrics = 0, rounds = 0] = process.argv.slice(2, 5).map(Number);
const dns = createSocket('udp4');
const sentMs = new Map<number, number>();
let asked = 0;
let latestMs = 0;
dns.on('message', (answer) => {
  const id = answer.readUInt16BE(0);
  latestMs = Math.max(latestMs, performance.now() - (sentMs.get(id) ?? 0));
  sentMs.delete(id);
});

const http = connect(metrics, HOST);
http.setNoDelay(true);
await once(http, 'connect');

/** Length of a page, headers included. */
async function getPage(): Promise<number> {
  let left: number | undefined;
  let bytes = 0;
  http.write(GET);
  while (left === undefined || left > 0) {
    const [chunk] = (await once(http, 'data')) as [Buffer];
    bytes += chunk.length;
    const head = left === undefined ? chunk.subarray(0, 1_024).toString('latin1') : '';
    const [whole, length] = /Content-Length: (\d+)\r\n(?:.+\r\n)*\r\n/.exec(head) ?? [];
    if (whole !== undefined) left = head.indexOf(whole) + whole.length + Number(length);
    left = (left ?? 0) - chunk.length;
  }
  return bytes;
}

/** Latency of the latest hit that was asked while `meanwhile` ran. */
async function burst(meanwhile: Promise<unknown>): Promise<number> {
  let isOver = false;
  void meanwhile.then(() => {
    isOver = true;
  });
  latestMs = 0;
  while (!isOver) {
    const id = asked++ & 0xffff;
    sentMs.set(id, performance.now());
    dns.send(queryWire(NAME, id), port, HOST);
    await pause(EVERY_MS);
  }
  const endMs = performance.now() + IN_TIME_MS;
  while (sentMs.size > 0 && performance.now() < endMs) await pause(EVERY_MS);
  if (sentMs.size > 0) throw new Error(`${sentMs.size} hits got no answer`);
  return latestMs;
}

const found = { scraped: [] as number[], quiet: [] as number[], bytes: 0 };
// The first answer is a miss, and the first page is compiled.
await burst(getPage());
for (let round = 0; round < rounds; round++) {
  await pause(BETWEEN_MS);
  const startMs = performance.now();
  const page = getPage();
  found.scraped.push(await burst(page));
  const tookMs = performance.now() - startMs;
  found.bytes = await page;
  await pause(BETWEEN_MS);
  found.quiet.push(await burst(pause(tookMs)));
}
process.stdout.write(JSON.stringify(found));
process.exit();
