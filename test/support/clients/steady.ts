/**
 * Asks name servers for one name, over and over, at a steady pace, each from one UDP socket for good. Arguments: name,
 * milliseconds between two queries, servers. Prints `asking`; when its standard input ends it waits for late answers
 * and prints, as JSON, one `Steady` for each server.
 */
import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';

/** Times are milliseconds on the clock of this process. */
export interface Steady {
  readonly server: string;
  readonly sent: number;
  readonly lost: number;
  /** From the first lost query of the longest run of lost ones to the next that was answered. */
  readonly gapMs: number;
  readonly slowestMs: number;
}

const LATE_MS = 1_000;

const [name = '', intervalText = '', ...servers] = process.argv.slice(2);
const intervalMs = Number(intervalText);

interface Asking {
  readonly server: string;
  readonly sentMs: number[];
  readonly tookMs: (number | undefined)[];
  readonly stop: () => void;
}

function query(id: number): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  const header = [(id >> 8) & 0xff, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  return Buffer.from([...header, ...labels, 0, 0, 1, 0, 1]);
}

function ask(server: string): Asking {
  const sentMs: number[] = [];
  const tookMs: (number | undefined)[] = [];
  const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', () => undefined);
  socket.on('message', (answer) => {
    // IDs wrap around after two minutes: the latest query with this one is meant.
    const id = answer.readUInt16BE();
    const turns = Math.floor((sentMs.length - 1 - id) / 0x1_0000);
    const index = id + turns * 0x1_0000;
    const rcode = (answer[3] ?? 0) & 0x0f;
    const started = sentMs[index];
    if (started !== undefined && rcode === 0) tookMs[index] ??= performance.now() - started;
  });
  const timer = setInterval(() => {
    const index = sentMs.push(performance.now()) - 1;
    tookMs.push(undefined);
    socket.send(query(index & 0xffff), 53, server, () => undefined);
  }, intervalMs);
  return { server, sentMs, tookMs, stop: () => clearInterval(timer) };
}

function judge({ server, sentMs, tookMs }: Asking): Steady {
  let gapMs = 0;
  let lost = 0;
  let since: number | undefined;
  sentMs.forEach((at, i) => {
    const took = tookMs[i];
    if (took === undefined || took > LATE_MS) {
      lost++;
      since ??= at;
    } else since = undefined;
    if (since !== undefined) gapMs = Math.max(gapMs, (sentMs[i + 1] ?? at + intervalMs) - since);
  });
  const answered = tookMs.filter((took) => took !== undefined);
  return { server, sent: sentMs.length, lost, gapMs, slowestMs: Math.max(0, ...answered) };
}

const asking = servers.map(ask);
process.stdout.write('asking\n');
process.stdin.resume().on('end', async () => {
  for (const { stop } of asking) stop();
  await delay(LATE_MS);
  process.stdout.write(`${JSON.stringify(asking.map(judge))}\n`);
  process.exit();
});
