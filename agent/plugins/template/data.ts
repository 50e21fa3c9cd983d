/** Data of a query that templates may use. */
import { className, typeName } from '../../dns/iana.ts';
import type { Query } from '../../query/query.ts';
import { printed, TemplateError, type Value } from './values.ts';

/** Fields of the data, as templates write them after a dot. */
export const FIELDS = [
  'Zone',
  'Name',
  'Class',
  'Type',
  'Match',
  'Group',
  'Question',
  'Remote',
  'Meta',
] as const;

/** Fields that differ between clients with the same question: an answer made from them is for one client only. */
export const PRIVATE_FIELDS: readonly string[] = ['Remote', 'Meta'];

/** Result of a pattern: the whole match, its groups, and the index of the named ones. */
export interface Match {
  readonly texts: readonly string[];
  readonly names: ReadonlyMap<string, number>;
}

/** Values of `FIELDS` for one query. `zone` is the zone that matched, presentation format. */
export function dataOf(
  query: Query,
  zone: string,
  { texts, names }: Match,
): ReadonlyMap<string, Value> {
  const { nameText: name, type, class: qclass } = query;
  const groups = new Map<string, Value>(texts.map((text, at) => [String(at), text]));
  for (const [group, at] of names) groups.set(group, texts[at] ?? '');
  const question = new Map<string, Value>([
    ['Name', name],
    ['Qtype', type],
    ['Qclass', qclass],
  ]);
  return new Map<(typeof FIELDS)[number], Value>([
    ['Zone', zone],
    ['Name', name],
    ['Class', className(qclass)],
    ['Type', typeName(type)],
    ['Match', texts],
    ['Group', groups],
    ['Question', question],
    ['Remote', query.isInternal ? '' : query.client.address],
    ['Meta', (label) => metadata(query, label)],
  ]);
}

function metadata(query: Query, label: Value): string {
  if (label === undefined) throw new TemplateError('.Meta needs a label');
  return query.metadata?.get(printed(label)) ?? '';
}
