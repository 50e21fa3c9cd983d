/** The upstream of a node under attack, as a process. It prints its port and runs until its input ends. */
import { startServer } from '../upstream/server.ts';
import { answerAsked } from './upstream.ts';

const server = await startServer((asked) => {
  // A long attack asks for more than a process should remember.
  (server.seen as unknown[]).length = 0;
  answerAsked(asked);
});
process.stdout.write(`${server.port}\n`);
process.stdin.resume().on('end', () => process.exit());
