/**
 * A well-behaved pod, as a process. `pod.ts PORT ADDRESS NAMES UPSTREAM` asks until its input ends: for cached names over
 * UDP and TCP, for uncached names below `NAMES` over UDP, and the upstream at port UPSTREAM itself. It writes the results as
 * JSON.
 */
import { Neighbour } from './neighbour.ts';
import { TcpNeighbour } from './tcp-neighbour.ts';

const HITS_EVERY_MS = 5;
const TCP_EVERY_MS = 20;
const NEW_EVERY_MS = 10;
/**
 * A later answer counts as lost. Far beyond the timeout of a stub resolver: latencies also measure the machine, and are
 * reported separately.
 */
const IN_TIME_MS = 20_000;

const [port, localAddress = '', names = '', upstream] = process.argv.slice(2);
const common = { localAddress, inTimeMs: IN_TIME_MS };
const nameOf = (asked: number): string => `n${asked}.${names}`;
const hits = await Neighbour.open(Number(port), common);
const fresh = await Neighbour.open(Number(port), { ...common, nameOf });
const direct = await Neighbour.open(Number(upstream), common);
const tcp = new TcpNeighbour({ ...common, port: Number(port) });
// The listener is in place: the end of input is not missed.
process.stdout.write('\n');
hits.start(HITS_EVERY_MS);
fresh.start(NEW_EVERY_MS);
tcp.start(TCP_EVERY_MS);
direct.start(NEW_EVERY_MS);
process.stdin.resume().on('end', async () => {
  const ended = [hits, tcp, fresh, direct].map((one) => one.close());
  const [ofHits, ofTcp, ofFresh, ofDirect] = await Promise.all(ended);
  const outcome = { hits: ofHits, tcp: ofTcp, fresh: ofFresh, direct: ofDirect };
  process.stdout.write(JSON.stringify(outcome));
});
