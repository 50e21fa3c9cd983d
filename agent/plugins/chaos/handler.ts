import { characterStrings, type NewRecord } from '../../dns/build.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import { byteKey, nameFromText } from '../../dns/name.ts';
import { madeAnswer } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';

/** The texts of the answers, each at most 255 bytes of UTF-8. */
export interface Identity {
  readonly version: string;
  readonly authors: readonly string[];
  readonly hostname: string;
}

/** Answers the names of RFC 4892 §3 and BIND's own; passes on all others. */
export function chaosHandler(identity: Identity): (query: Query, next: Handler) => Result {
  const version = txt([identity.version]);
  const host = txt([identity.hostname]);
  const answers = new Map<string, readonly NewRecord[]>(
    [
      ['version.bind.', version],
      ['version.server.', version],
      ['hostname.bind.', host],
      ['id.server.', host],
      ['authors.bind.', txt(identity.authors)],
    ].map(([name, records]) => [byteKey(nameFromText(name as string)), records as NewRecord[]]),
  );
  return (query, next) => {
    if (query.class !== CLASS.CH || query.type !== TYPE.TXT) return next(query);
    const answer = answers.get(byteKey(query.name));
    if (answer === undefined) return next(query);
    return madeAnswer(query, { rcode: RCODE.NOERROR, flags: 0, answer }, 'chaos');
  };
}

function txt(texts: readonly string[]): NewRecord[] {
  return texts.map((text) => ({ type: TYPE.TXT, ttlSeconds: 0, rdata: characterStrings([text]) }));
}
