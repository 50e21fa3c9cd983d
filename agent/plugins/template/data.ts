/** What templates may use of a query. */
import { className, typeName } from '../../dns/iana.ts';
import type { Query } from '../../query/query.ts';
import { printed, TemplateError, type Value } from './values.ts';

/** Fields of the data, as templates write them behind a dot. */
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

/** Fields that differ between clients that ask the same: an answer made from them is for one client only. */
export const PRIVATE_FIELDS: readonly string[] = ['Remote', 'Meta'];

/** `match` is undefined where the template has no pattern. */
export function dataOf(
  query: Query,
  zone: string,
  match: RegExpExecArray | undefined,
): ReadonlyMap<string, Value> {
  const { nameText: name, type, class: qclass } = query;
  const found = match === undefined ? [name] : [...match].map((text) => text ?? '');
  const groups = new Map<string, Value>(found.map((text, at) => [String(at), text]));
  for (const [group, text] of Object.entries(match?.groups ?? {})) groups.set(group, text ?? '');
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
    ['Match', found],
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
