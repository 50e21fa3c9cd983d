/** A well-behaved pod: it asks over UDP and TCP what is cached, and over UDP what is not. */
import { Neighbour, type Neighbourhood, quantile } from './neighbour.ts';
import { TcpNeighbour } from './tcp-neighbour.ts';

const HITS_EVERY_MS = 20;
const TCP_EVERY_MS = 100;
const NEW_EVERY_MS = 20;
/**
 * An answer that comes later never comes. Far beyond what a stub resolver waits, because how long answers take measures
 * the machine as well, and is told apart.
 */
const IN_TIME_MS = 20_000;

export interface PodOutcome {
  /** Cached names over UDP. */
  readonly hits: Neighbourhood;
  /** The same over TCP, a connection each. */
  readonly tcp: Neighbourhood;
  /** Names that come once, which the upstream answers. */
  readonly fresh: Neighbourhood;
}

let pods = 0;

/** The pod at `localAddress` asks for as long as `meanwhile` takes; what became of its questions. */
export async function besidePod(
  port: number,
  localAddress: string,
  meanwhile: () => Promise<void>,
): Promise<PodOutcome> {
  const pod = ++pods;
  const common = { localAddress, inTimeMs: IN_TIME_MS };
  const nameOf = (asked: number): string => `n${asked}.p${pod}.fresh.test`;
  const hits = await Neighbour.open(port, common);
  const fresh = await Neighbour.open(port, { ...common, nameOf });
  const tcp = new TcpNeighbour({ ...common, port });
  hits.start(HITS_EVERY_MS);
  fresh.start(NEW_EVERY_MS);
  tcp.start(TCP_EVERY_MS);
  try {
    await meanwhile();
  } catch (error) {
    await Promise.all([hits.close(), tcp.close(), fresh.close()]);
    throw error;
  }
  const [ofHits, ofTcp, ofFresh] = await Promise.all([hits.close(), tcp.close(), fresh.close()]);
  return { hits: ofHits, tcp: ofTcp, fresh: ofFresh };
}

/** `0/150 p50 0.4 p99 2.1 ms`: lost of asked, and how long answers took. */
export function told({ asked, lost, tookMs }: Neighbourhood): string {
  const [p50, p99] = [quantile(tookMs, 0.5), quantile(tookMs, 0.99)];
  return `${lost}/${asked} p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms`;
}
