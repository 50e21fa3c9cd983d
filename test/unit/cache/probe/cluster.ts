/** A cache with `nxdomain_probe` in front of a model of kube-dns, and pods that search as glibc does with ndots:5. */
import type { NewRecord } from '../../../../agent/dns/build.ts';
import { TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import type { Query } from '../../../../agent/query/query.ts';
import type { CacheOptions } from '../../../../agent/query/services/cache.ts';
import { ZoneModel } from '../../../support/dns/zone-model.ts';
import { addressRecord, Bench, nodata, nxdomain } from '../harness.ts';

export const ZONE = 'cluster.local.';
const SEARCH = [`default.svc.${ZONE}`, `svc.${ZONE}`, ZONE];
/** A name without records that others are below. */
export const PROOF = `default.svc.${ZONE}`;
export const random = (): number => 0;
export const ON: Partial<CacheOptions> = { nxdomainProbe: [nameFromText(ZONE)] };
/** Long enough to be seen, short enough for two probes one after the other within the time that a question is held. */
const ROUND_TRIP_MS = 1;
/** TTL of all answers. */
export const DENIAL_SECONDS = 5;

/** An address of the type, or A. */
function recordOf(type: number): NewRecord {
  if (type !== TYPE.AAAA) return addressRecord(DENIAL_SECONDS);
  return { type, ttlSeconds: DENIAL_SECONDS, rdata: new Uint8Array(16) };
}

/** kube-dns has the Service web in the namespace default. */
export class Cluster {
  readonly zone = new ZoneModel(ZONE, [`web.default.svc.${ZONE}`]);
  readonly bench: Bench;
  roundTripMs = ROUND_TRIP_MS;

  constructor(options: Partial<CacheOptions> = ON, random?: () => number) {
    this.bench = new Bench(options, random === undefined ? {} : { random });
    this.bench.upstream = (query) => this.answer(query);
  }

  /** The questions that reached kube-dns, as `name type`, in order. */
  get asked(): string[] {
    return this.bench.asked.map(({ nameText, type }) => `${nameText} ${type}`);
  }

  /** What the model says at the moment of the call, after a round trip. */
  answer(query: Query): Promise<Answer> {
    const existence = this.zone.of(query.nameText);
    const response = {
      answered: { answer: [recordOf(query.type)] },
      nodata: nodata(DENIAL_SECONDS),
      denied: nxdomain(DENIAL_SECONDS),
    }[existence];
    return new Promise((resolve) => {
      const done = (): void => resolve(this.bench.reply(query, response));
      this.bench.services.clock.after(this.roundTripMs, done);
    });
  }

  /** Moves the clock until `work` has ended, at most a second. */
  async settled<Value>(work: Promise<Value> | Value): Promise<Value> {
    let isDone = false;
    const end = (): void => {
      isDone = true;
    };
    Promise.resolve(work).then(end, end);
    for (let i = 0; i < 1_000 && !isDone; i++) await this.bench.services.clock.advance(1);
    return work;
  }

  ask(name: string, type: number = TYPE.A, behalfOf = ''): Promise<Answer> {
    return this.settled(this.bench.ask({ name, type, behalfOf }));
  }

  /** The questions that a pod asks before the name itself: A and AAAA with each suffix. */
  async search(name: string, behalfOf = ''): Promise<number[]> {
    const rcodes: number[] = [];
    for (const suffix of SEARCH) {
      const both = [TYPE.A, TYPE.AAAA].map(async (type) =>
        this.bench.ask({ name: `${name}${suffix}`, type, behalfOf }),
      );
      rcodes.push(...(await Promise.all(both)).map(({ rcode }) => rcode));
    }
    return rcodes;
  }

  probes(result: string): number {
    return this.bench.count('nodens_cache_denial_probes_total', { result });
  }
}

/** A cluster whose kube-dns is known not to deny PROOF. */
export async function proven(): Promise<Cluster> {
  const cluster = new Cluster(ON, random);
  await cluster.ask(`x.${PROOF}`);
  await cluster.bench.services.clock.advance(5_000);
  cluster.bench.asked.length = 0;
  return cluster;
}
