/** `autopath` with a file, in front of a world of names. */
import { setup } from '../../../../agent/plugins/autopath/setup.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import type { Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { decoded, type QueryOptions, queryFor } from '../../../support/dns/queries.ts';
import { type Entry, Names } from '../../../support/kubernetes/names.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { fakeServices } from '../../../support/services.ts';

export const FILE = 'search shop.svc.cluster.local svc.cluster.local cluster.local corp.example\n';
export const FIRST = 'api.example.com.shop.svc.cluster.local';

/** `autopath` with a file, in front of `names`. */
export function lookup(
  entries: Readonly<Record<string, Entry>> = {},
  file = FILE,
  directive = 'autopath /r',
  ledger = ledgerWith(),
) {
  const names = new Names(entries);
  const services = fakeServices({ resolveNow: names.resolveNow, ledger });
  services.texts.set('/r', file);
  const parsed = parseDirective(directive);
  const plugin = setup(parsed.directive, parsed.block, services);
  const send = (query: Query) => plugin.handle?.(query, names.next);
  const ask = async (
    name: string,
    type: Parameters<typeof queryFor>[1] = 'A',
    o: QueryOptions = {},
  ) => {
    const query = queryFor(name, type, { ...o });
    query.arrivedMs = services.clock.nowMs();
    return (await send(query)) as Answer;
  };
  const results = (result: string) => services.metrics.value('nodens_autopath_total', { result });
  return { names, services, plugin, send, ask, results };
}

/** `rcode, records…` of an answer, with TTLs. */
export function lines(answer: Answer): string {
  const {
    answers = [],
    authorities = [],
    rcode,
  } = decoded(answer) as ReturnType<typeof decoded> & {
    rcode: string;
  };
  const text = [...answers, ...authorities].map((record) =>
    'ttl' in record
      ? `${record.name} ${record.ttl} ${record.type} ${record.type === 'SOA' ? '' : String(record.data)}`.trim()
      : '',
  );
  return [rcode, ...text].join(', ');
}

export const COM = 'api.example.com.';
export const PUBLIC: Entry = { A: ['192.0.2.7'], AAAA: ['2001:db8::7'] };
