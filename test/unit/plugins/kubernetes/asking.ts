/** Questions to the records of a small cluster, and their answers as lines. */
import { decode } from 'dns-packet';
import { TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import {
  type AnswerOptions,
  type Outcome,
  outcomeOf,
  zoneOf,
} from '../../../../agent/plugins/kubernetes/answers.ts';
import {
  bytesOf,
  namespaceOf,
  podOf,
  serviceOf,
  sliceOf,
} from '../../../../agent/plugins/kubernetes/objects.ts';
import { Records } from '../../../../agent/plugins/kubernetes/records.ts';
import { type Zone, zoneFrom } from '../../../../agent/plugins/kubernetes/zone-records.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import type { ApiObject } from '../../../../agent/query/services/kubernetes.ts';

export const ZONES = ['cluster.local.', 'in-addr.arpa.', 'ip6.arpa.'].map(zoneFrom);
export const SERIAL = 1_700_000_000;

export const OPTIONS: AnswerOptions = {
  zones: ZONES,
  primary: ZONES[0] as Zone,
  ttlSeconds: 5,
  pods: 'disabled',
  hasEndpoints: true,
  ignoresEmpty: false,
  ownAddresses: () => ['169.254.20.10'].map((text) => bytesOf(text) as string),
};

/** Puts an object of any kind, as its watch would. */
export function put(records: Records, object: ApiObject, usesPodNames = false): void {
  if ('endpoints' in object) {
    const slice = sliceOf(object, { usesPodNames, keepsZones: true });
    if (slice !== undefined)
      records.setSlice(slice.namespace, slice.name, slice.service, slice.kept);
  } else if (!('spec' in object)) records.setNamespace(namespaceOf(object) as string);
  else if ('containers' in (object.spec as object)) {
    const pod = podOf(object);
    if (pod !== undefined) records.setPod(pod.namespace, pod.name, pod.kept);
  } else {
    const service = serviceOf(object);
    if (service !== undefined) records.setService(service.namespace, service.name, service.kept);
  }
}

export function recordsOf(objects: readonly ApiObject[], usesPodNames = false): Records {
  const records = new Records();
  for (const object of objects) put(records, object, usesPodNames);
  return records;
}

/** `name` is relative to cluster.local unless it ends in a dot. */
export function askRecords(
  records: Records,
  name: string,
  type: keyof typeof TYPE,
  options: Partial<AnswerOptions> = {},
): Outcome {
  const wire = nameFromText(absolute(name));
  const whole = { ...OPTIONS, ...options };
  const zone = zoneOf(whole.zones, wire);
  if (zone === undefined) throw new RangeError(`${name} is in no zone`);
  return outcomeOf({ name: wire, type: TYPE[type], zone }, { records, serial: SERIAL }, whole);
}

function absolute(name: string): string {
  if (name === '@') return 'cluster.local.';
  return name.endsWith('.') ? name : `${name}.cluster.local.`;
}

/** One line for an outcome: `nxdomain`, `nodata`, or its records; those of the additional section follow a `+`. */
export function lineOf(outcome: Outcome): string {
  if (outcome.kind === 'alias') return `${linesOf(outcome.chain)} ...`;
  const { answer } = outcome;
  if (answer.rcode === 3) return 'nxdomain';
  return linesOf(answer) || 'nodata';
}

function linesOf(answer: Answer): string {
  const { answers = [], additionals = [] } = decode(answer.wire);
  const list = (records: typeof answers): string => records.map(textOf).join(', ');
  return additionals.length === 0 ? list(answers) : `${list(answers)} + ${list(additionals)}`;
}

type Decoded = NonNullable<ReturnType<typeof decode>['answers']>[number];

function textOf(record: Decoded): string {
  if (record.type === 'SRV') {
    const { priority = 0, weight = 0, port, target } = record.data;
    return `SRV ${priority} ${weight} ${port} ${relative(target)}`;
  }
  if (record.type === 'SOA') {
    const {
      mname,
      rname,
      serial = 0,
      refresh = 0,
      retry = 0,
      expire = 0,
      minimum = 0,
    } = record.data;
    const numbers = [serial, refresh, retry, expire, minimum].join(' ');
    return `SOA ${relative(mname)} ${relative(rname)} ${numbers}`;
  }
  if ('data' in record) return `${record.type} ${relative(String(record.data))}`;
  return record.type;
}

function relative(name: string): string {
  return name.replace(/\.cluster\.local$/, '');
}
