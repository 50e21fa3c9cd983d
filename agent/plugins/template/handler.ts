import { DnsError, type ExtendedError, messageOf } from '../../base/errors.ts';
import type { Pattern } from '../../base/text/pattern.ts';
import type { NewRecord } from '../../dns/build.ts';
import { FLAG } from '../../dns/header.ts';
import { CLASS, className, EDE, RCODE, TYPE, typeName } from '../../dns/iana.ts';
import { isSubdomain, lowerName, sameName } from '../../dns/name.ts';
import { rebuild, rebuildAll } from '../../dns/rebuild.ts';
import { readRecords } from '../../dns/records.ts';
import { recordFromText, type TextRecord } from '../../dns/text/record.ts';
import { type Answer, madeAnswer, remade, ttlOffsetsOf, wireAt } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';
import { resolveFor } from '../../query/reenter.ts';
import type { Labels } from '../../query/services/metrics.ts';
import type { Services } from '../../query/services/services.ts';
import { dataOf, type Match } from './data.ts';
import type { Value } from './values.ts';

/** Where a template's record belongs in the response. */
export type Section = 'answer' | 'authority' | 'additional';

/** One record in presentation format, with actions. Its text is parsed after it has been filled. */
export interface RecordTemplate {
  readonly section: Section;
  /** As written in the Corefile. */
  readonly text: string;
  /** Throws TemplateError. */
  readonly fill: (data: ReadonlyMap<string, Value>) => string;
  /** Whether it uses fields that differ between clients. */
  readonly isPrivate: boolean;
}

/** One use of the directive. */
export interface Template {
  /** CLASS.ANY and TYPE.ANY match every one. */
  readonly class: number;
  readonly type: number;
  readonly zones: readonly { readonly text: string; readonly name: Uint8Array }[];
  /** Without any, every name matches. */
  readonly patterns: readonly Pattern[];
  readonly records: readonly RecordTemplate[];
  readonly rcode: number;
  readonly extended: ExtendedError | undefined;
  /** Zones in which a name that matches no pattern is passed on. */
  readonly fallthrough: readonly Uint8Array[];
}

type Needs = Pick<Services, 'resolve' | 'clock' | 'metrics'>;

/** The first template with matching zone, class, type and pattern answers. */
export function templateHandler(
  templates: readonly Template[],
  view: string,
  services: Needs,
): (query: Query, next: Handler) => Result {
  return (query, next) => {
    for (const template of templates) {
      const zone = zoneOf(template, query);
      if (zone === undefined) continue;
      const match = matchOf(template, query.nameText);
      if (match !== undefined) {
        const { label: server } = query.server;
        const kind = { class: className(query.class), type: typeName(query.type) };
        const labels = { server, zone, view, ...kind };
        return answered(query, template, dataOf(query, zone, match), labels, services);
      }
      if (!template.fallthrough.some((name) => isSubdomain(query.name, name))) throw noMatch();
    }
    return next(query);
  };
}

/** The longest zone of `template` that contains the name, if class and type match as well. */
function zoneOf(template: Template, { name, class: qclass, type }: Query): string | undefined {
  if (template.class !== qclass && template.class !== CLASS.ANY && qclass !== CLASS.ANY)
    return undefined;
  if (template.type !== type && template.type !== TYPE.ANY && type !== TYPE.ANY) return undefined;
  let found: Template['zones'][number] | undefined;
  for (const zone of template.zones) {
    if (zone.name.length > (found?.name.length ?? 0) && isSubdomain(name, zone.name)) found = zone;
  }
  return found?.text;
}

/** Undefined if no pattern matches; without patterns the whole name is the match. */
function matchOf({ patterns }: Template, name: string): Match | undefined {
  if (patterns.length === 0) return { texts: [name], names: NO_NAMES };
  for (const { match, names } of patterns) {
    const texts = match(name);
    if (texts !== undefined) return { texts, names };
  }
  return undefined;
}

const NO_NAMES: ReadonlyMap<string, number> = new Map();

function noMatch(): DnsError {
  const text = 'no template matches the name, and template does not fall through';
  return new DnsError(RCODE.SERVFAIL, text, { code: EDE.OTHER, text });
}

function answered(
  query: Query,
  template: Template,
  data: ReadonlyMap<string, Value>,
  labels: Labels,
  services: Needs,
): Result {
  const { rcode, extended, records } = template;
  services.metrics.counter('coredns_template_matches_total', labels).value++;
  if (rcode === RCODE.SERVFAIL) throw new DnsError(rcode, 'a template answers SERVFAIL', extended);
  const sections: Record<Section, NewRecord[]> = { answer: [], authority: [], additional: [] };
  for (const source of records) {
    const record = recordOf(source, data, labels, services);
    if (record.class !== query.class) throw otherClass(source);
    sections[source.section].push(record);
  }
  const shareable = !records.some(({ isPrivate }) => isPrivate);
  const options = { shareable, ...(extended === undefined ? {} : { extended }) };
  const made = madeAnswer(query, { rcode, flags: FLAG.AA, ...sections }, 'template', options);
  return chased(query, compressed(made), sections.answer, services);
}

/** A template writes every owner in full: with pointers instead, more records fit into a UDP answer. */
function compressed(made: Answer): Answer {
  const wire = rebuild(made.wire, {});
  if (wire === undefined || wire.length >= made.length) return made;
  return made.with({ wire, ttlOffsets: ttlOffsetsOf(readRecords(wire) ?? []) });
}

function otherClass({ text }: RecordTemplate): DnsError {
  return new DnsError(RCODE.SERVFAIL, `template "${text}" makes a record of another class`);
}

function recordOf(
  { section, text, fill }: RecordTemplate,
  data: ReadonlyMap<string, Value>,
  labels: Labels,
  { metrics }: Needs,
): TextRecord {
  const failed = (series: string, error: unknown): DnsError => {
    metrics.counter(series, { ...labels, section, template: text }).value++;
    const reason = `template "${text}" failed: ${messageOf(error)}`;
    return new DnsError(RCODE.SERVFAIL, reason, { code: EDE.OTHER, text: 'template failed' });
  };
  let line: string;
  try {
    line = fill(data);
  } catch (error) {
    throw failed('coredns_template_template_failures_total', error);
  }
  try {
    return recordFromText(line);
  } catch (error) {
    throw failed('coredns_template_rr_failures_total', error);
  }
}

/** A CNAME in answer to a question for addresses is followed: its target's answer is appended. */
function chased(query: Query, made: Answer, answer: readonly NewRecord[], services: Needs): Result {
  const { type, name } = query;
  if (type !== TYPE.A && type !== TYPE.AAAA) return made;
  const alias = answer.findLast((record) => record.type === TYPE.CNAME);
  const target = alias && lowerName(alias.rdata);
  // An alias to itself would wait for its own answer.
  if (target === undefined || sameName(target, name)) return made;
  return resolveFor(query, target, type, services).then((found) => {
    const nowMs = services.clock.nowMs();
    const wire = rebuildAll([made.wire, wireAt(found, nowMs)], {});
    return wire === undefined ? made : remade(made, wire, nowMs);
  });
}
