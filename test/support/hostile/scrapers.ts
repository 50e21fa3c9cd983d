/**
 * `scrapers.ts PORT COUNT SECONDS`: COUNT clients ask for /metrics repeatedly, each as soon as it has its page or
 * has lost its connection. A separate program, so that it runs on another core. Prints `{"pages": N}`.
 */
import { scrapeForEver } from './attacks/http.ts';

const [port = 0, count = 0, seconds = 0] = process.argv.slice(2).map(Number);
let pages = 0;
const onPage = (): void => {
  pages++;
};

for (let i = 0; i < count; i++) scrapeForEver(port, '127.0.0.1', onPage);
setTimeout(() => {
  process.stdout.write(`${JSON.stringify({ pages })}\n`);
  process.exit();
}, seconds * 1_000);
