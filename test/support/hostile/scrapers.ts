/**
 * `scrapers.ts PORT COUNT SECONDS`: COUNT clients ask for /metrics repeatedly, each as soon as it has its page or
 * has lost its connection. A separate program, so that it runs on another core. Prints `{"pages": N}`.
 */
import { connect } from 'node:net';

const [port = 0, count = 0, seconds = 0] = process.argv.slice(2).map(Number);
const GET = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
let pages = 0;

function scrapeForEver(): void {
  const socket = connect(port, '127.0.0.1');
  let left = 0;
  socket.on('connect', () => socket.write(GET));
  socket.on('data', (chunk) => {
    const length = /Content-Length: (\d+)\r\n(?:.+\r\n)*\r\n/.exec(chunk.toString('latin1'));
    if (length === null) left -= chunk.length;
    else left = Number(length[1]) - (chunk.length - length.index - length[0].length);
    if (left > 0) return;
    pages++;
    socket.write(GET);
  });
  socket.on('error', () => {});
  socket.on('close', () => setTimeout(scrapeForEver, 1));
}

for (let i = 0; i < count; i++) scrapeForEver();
setTimeout(() => {
  process.stdout.write(`${JSON.stringify({ pages })}\n`);
  process.exit();
}, seconds * 1_000);
