/** From a question to its response: which records, which of the two kinds of nothing, or which other name. */
import type { NewRecord, NewResponse } from '../../dns/build.ts';
import { buildCompressed } from '../../dns/build-compressed.ts';
import { FLAG, putU16 } from '../../dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import { isSubdomain } from '../../dns/name.ts';
import { Answer } from '../../query/answer.ts';
import { type FindOptions, type Found, find, type Target } from './find.ts';
import { bytesIn, joined } from './names.ts';
import { type Asked, readQuestion } from './question.ts';
import type { Records } from './records.ts';
import { addressOf, isAboveAddresses, namesOf } from './reverse.ts';
import {
  addressType,
  hasPort,
  nsOf,
  serversOf,
  soaOf,
  VERSION,
  type Zone,
} from './zone-records.ts';

/** What answers depend on besides the records. */
export interface AnswerOptions extends FindOptions {
  readonly zones: readonly Zone[];
  /** The zone that names of addresses are in: the first that is no reverse zone. */
  readonly primary: Zone;
  readonly ttlSeconds: number;
  /** Addresses that the agent serves, one character per byte. */
  readonly ownAddresses: () => readonly string[];
}

/** The records and the moment of their last change, Unix seconds. */
export interface Snapshot {
  readonly records: Records;
  readonly serial: number;
}

/** A question within one of the zones. `name` is lower-case wire form. */
export interface Question {
  readonly name: Uint8Array;
  readonly type: number;
  readonly zone: Zone;
}

/**
 * What is known about a question:
 * - `answer`: the answer, possibly NODATA;
 * - `denied`: the name does not exist, or at least has no records here; `answer` says so;
 * - `alias`: the records of `target`, wire form outside of the zones, belong behind those of `chain`.
 */
export type Outcome =
  | { readonly kind: 'answer' | 'denied'; readonly answer: Answer }
  | { readonly kind: 'alias'; readonly chain: Answer; readonly target: Uint8Array };

/** Maximum length of a chain of aliases between Services, as in CoreDNS. */
const MAX_ALIASES = 10;
/** No message has more: an SRV record takes at least 28 bytes, and one of an address 16. */
const MAX_SERVICES = 2_400;
const MAX_GLUE = 4_096;

/** The zone of `zones` that contains `name`: the longest. */
export function zoneOf(zones: readonly Zone[], name: Uint8Array): Zone | undefined {
  let found: Zone | undefined;
  for (const zone of zones) {
    const isLonger = zone.name.length > (found?.name.length ?? 0);
    if (isLonger && isSubdomain(name, zone.name)) found = zone;
  }
  return found;
}

/** Answers questions of class IN from one state of the records. Nothing is kept between two calls. */
export function outcomeOf(question: Question, snapshot: Snapshot, options: AnswerOptions): Outcome {
  const { name, zone } = question;
  return new Responder(question, snapshot, options).outcome(readQuestion(name, zone.name.length));
}

class Responder {
  readonly #question: Question;
  readonly #snapshot: Snapshot;
  readonly #options: AnswerOptions;

  constructor(question: Question, snapshot: Snapshot, options: AnswerOptions) {
    this.#question = question;
    this.#snapshot = snapshot;
    this.#options = options;
  }

  outcome(asked: Asked): Outcome {
    const { zone } = this.#question;
    if (asked.kind === 'zone') return this.#apex();
    if (zone.isReverse) return this.#reverse();
    switch (asked.kind) {
      case 'none':
        return this.#denied();
      case 'root':
        return this.#empty();
      case 'version':
        return this.#question.type === TYPE.TXT ? this.#records([VERSION]) : this.#empty();
      case 'servers':
        return asked.isHost ? this.#servers() : this.#empty();
      case 'namespace':
      case 'service':
      case 'pod': {
        const { records } = this.#snapshot;
        const isSrv = this.#question.type === TYPE.SRV;
        return this.#found(find(asked, records, this.#options, isSrv));
      }
    }
  }

  #apex(): Outcome {
    const { type, zone } = this.#question;
    const { ttlSeconds, ownAddresses } = this.#options;
    if (type === TYPE.SOA) return this.#records([this.#soa()]);
    if (type !== TYPE.NS) return this.#empty();
    const servers = serversOf(zone, ownAddresses(), this.#snapshot.records);
    const { answer, additional } = nsOf(servers, ttlSeconds);
    return this.#records(answer, additional);
  }

  #servers(): Outcome {
    const { type, zone } = this.#question;
    const { ttlSeconds, ownAddresses } = this.#options;
    const servers = serversOf(zone, ownAddresses(), this.#snapshot.records);
    const addresses = servers.map(({ address }) => address);
    return this.#records(addressRecords(addresses, type, ttlSeconds));
  }

  /** A name of an address without names is denied; so is a part of one, but without NXDOMAIN. */
  #reverse(): Outcome {
    const { name, type } = this.#question;
    const { primary, ttlSeconds } = this.#options;
    const address = addressOf(name);
    if (address === undefined)
      return isAboveAddresses(name) ? { ...this.#empty(), kind: 'denied' } : this.#denied();
    const names = namesOf(address, this.#snapshot.records, primary.name);
    if (names.length === 0) return this.#denied();
    if (type !== TYPE.PTR) return this.#empty();
    return this.#records(names.map((rdata) => ({ type: TYPE.PTR, ttlSeconds, rdata })));
  }

  #found(found: Found): Outcome {
    const { type } = this.#question;
    const { ttlSeconds } = this.#options;
    if (found.kind === 'none') return this.#denied();
    if (found.kind === 'empty') return this.#empty();
    if (found.kind === 'alias') return this.#alias(bytesIn(found.target));
    if (type === TYPE.SRV) return this.#services(found.targets);
    const addresses = found.targets.map(({ address }) => address);
    return this.#records(addressRecords(addresses, type, ttlSeconds));
  }

  /** SRV records with the addresses of their targets. Weights are CoreDNS's: 100 shared by all of them. */
  #services(targets: readonly Target[]): Outcome {
    const { ttlSeconds } = this.#options;
    const parent = this.#serviceName();
    const weight = Math.max(1, Math.floor((100 / (100 * targets.length)) * 100));
    const answer = new Map<string, NewRecord>();
    const additional = new Map<string, NewRecord>();
    for (const each of targets) {
      if (!hasPort(each)) continue;
      const { host, port, address } = each;
      const key = `${host}/${port}`;
      const glue = `${host}/${address}`;
      const isGlue = additional.size < MAX_GLUE && !additional.has(glue);
      if (!isGlue && answer.has(key)) continue;
      const name = host === '' ? parent : joined([host], parent);
      if (name === undefined) continue;
      if (!answer.has(key))
        answer.set(key, { type: TYPE.SRV, ttlSeconds, rdata: srvData(weight, port, name) });
      if (isGlue)
        additional.set(glue, {
          name,
          type: addressType(address),
          ttlSeconds,
          rdata: bytesIn(address),
        });
      if (answer.size === MAX_SERVICES) break;
    }
    return this.#records([...answer.values()], [...additional.values()]);
  }

  /** `service.namespace.svc.ZONE`, the end of the question's name. */
  #serviceName(): Uint8Array {
    const { name, zone } = this.#question;
    const labels: number[] = [];
    for (let at = 0; name.length - at > zone.name.length; at += 1 + (name[at] as number))
      labels.push(at);
    return name.subarray(labels.at(-3) ?? 0);
  }

  /**
   * The alias of a Service with `type: ExternalName`. Other Services behind it are followed here: to ask the server for
   * them could wait for this question's own answer. An alias of itself is NODATA (as in CoreDNS).
   */
  #alias(first: Uint8Array): Outcome {
    const { name, type } = this.#question;
    const { zones, ttlSeconds } = this.#options;
    if (type !== TYPE.A && type !== TYPE.AAAA && type !== TYPE.CNAME) return this.#empty();
    const chain: NewRecord[] = [];
    const owners = [name];
    for (let target = first; ; ) {
      if (owners.some((owner) => isSubdomain(target, owner)) || chain.length > MAX_ALIASES)
        return this.#empty();
      const owner = owners.at(-1) as Uint8Array;
      const place = owner === name ? {} : { name: owner };
      chain.push({ ...place, type: TYPE.CNAME, ttlSeconds, rdata: target });
      if (type === TYPE.CNAME) return this.#records(chain);
      const zone = zoneOf(zones, target);
      if (zone === undefined || zone.isReverse)
        return { kind: 'alias', chain: this.#answer({ answer: chain }), target };
      const found = this.#lookUp(target, zone);
      if (found.kind !== 'alias') return this.#chained(chain, target, found);
      owners.push(target);
      target = bytesIn(found.target);
    }
  }

  #lookUp(name: Uint8Array, zone: Zone): Found {
    const asked = readQuestion(name, zone.name.length);
    if (asked.kind !== 'namespace' && asked.kind !== 'service' && asked.kind !== 'pod')
      return { kind: 'none' };
    return find(asked, this.#snapshot.records, this.#options, false);
  }

  /** A chain that ends in the zones. Without records at its end it is NODATA with the alias in front. */
  #chained(chain: readonly NewRecord[], target: Uint8Array, found: Found): Outcome {
    const { type } = this.#question;
    const targets = found.kind === 'targets' ? found.targets : [];
    const addresses = targets.map(({ address }) => address);
    const records = addressRecords(addresses, type, this.#options.ttlSeconds);
    const answer = [...chain, ...records.map((record) => ({ ...record, name: target }))];
    const authority = records.length === 0 ? [this.#soa()] : [];
    return { kind: 'answer', answer: this.#answer({ answer, authority }) };
  }

  #records(answer: readonly NewRecord[], additional: readonly NewRecord[] = []): Outcome {
    if (answer.length === 0) return this.#empty();
    return { kind: 'answer', answer: this.#answer({ answer, additional }) };
  }

  #empty(): { kind: 'answer'; answer: Answer } {
    return { kind: 'answer', answer: this.#answer({ authority: [this.#soa()] }) };
  }

  #denied(): Outcome {
    const answer = this.#answer({ rcode: RCODE.NXDOMAIN, authority: [this.#soa()] });
    return { kind: 'denied', answer };
  }

  #soa(): NewRecord {
    return soaOf(this.#question.zone, this.#snapshot.serial, this.#options.ttlSeconds);
  }

  #answer(response: Partial<NewResponse>): Answer {
    const { name, type } = this.#question;
    const { rcode = RCODE.NOERROR } = response;
    const whole = { ...response, rcode, flags: FLAG.AA };
    const built = buildCompressed({ name, type, class: CLASS.IN }, whole);
    return new Answer({ ...built, rcode, plugin: 'kubernetes', isLowerCase: true });
  }
}

/** A or AAAA records of the question's name, each address once. */
function addressRecords(
  addresses: readonly string[],
  type: number,
  ttlSeconds: number,
): NewRecord[] {
  if (type !== TYPE.A && type !== TYPE.AAAA) return [];
  const length = type === TYPE.A ? 4 : 16;
  const wanted = new Set(addresses.filter((address) => address.length === length));
  return Array.from(wanted, (address) => ({ type, ttlSeconds, rdata: bytesIn(address) }));
}

/** Priority 0 (RFC 2782). */
function srvData(weight: number, port: number, target: Uint8Array): Uint8Array {
  const rdata = new Uint8Array(6 + target.length);
  putU16(rdata, 2, weight);
  putU16(rdata, 4, port);
  rdata.set(target, 6);
  return rdata;
}
