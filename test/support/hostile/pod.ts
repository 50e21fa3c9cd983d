/**
 * A well-behaved pod, as a process: `pod.ts PORT ADDRESS NAMES` asks until its input ends, over UDP and TCP what is
 * cached, and over UDP names below `NAMES`, which are not. It writes what became of its questions, as JSON.
 */
import { Neighbour } from './neighbour.ts';
import { TcpNeighbour } from './tcp-neighbour.ts';

const HITS_EVERY_MS = 20;
const TCP_EVERY_MS = 100;
const NEW_EVERY_MS = 20;
/**
 * An answer that comes later never comes. Far beyond what a stub resolver waits, because how long answers take measures
 * the machine as well, and is told apart.
 */
const IN_TIME_MS = 20_000;

const [port, localAddress = '', names = ''] = process.argv.slice(2);
const common = { localAddress, inTimeMs: IN_TIME_MS };
const nameOf = (asked: number): string => `n${asked}.${names}`;
const hits = await Neighbour.open(Number(port), common);
const fresh = await Neighbour.open(Number(port), { ...common, nameOf });
const tcp = new TcpNeighbour({ ...common, port: Number(port) });
// It is there: what comes from now on, it sees.
process.stdout.write('\n');
hits.start(HITS_EVERY_MS);
fresh.start(NEW_EVERY_MS);
tcp.start(TCP_EVERY_MS);
process.stdin.resume().on('end', async () => {
  const [ofHits, ofTcp, ofFresh] = await Promise.all([hits.close(), tcp.close(), fresh.close()]);
  process.stdout.write(JSON.stringify({ hits: ofHits, tcp: ofTcp, fresh: ofFresh }));
});
