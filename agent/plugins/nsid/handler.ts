import { ednsOption, findOption } from '../../dns/edns.ts';
import { EDNS_OPTION } from '../../dns/iana.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';

/** NSID goes only to clients that sent the option (RFC 5001 §2.1). */
export function nsidHandler(data: Uint8Array): (query: Query, next: Handler) => Result {
  const option = ednsOption(EDNS_OPTION.NSID, data);
  return (query, next) => {
    const { optRdataStart, optRdataEnd } = query.head;
    if (findOption(query.wire, optRdataStart, optRdataEnd, EDNS_OPTION.NSID) !== undefined)
      query.responseOptions = option;
    return next(query);
  };
}
