import { addressBytes } from '../../base/address.ts';
import type { NewRecord } from '../../dns/build.ts';
import { FLAG, HEADER_BYTES } from '../../dns/header.ts';
import { RCODE, TYPE } from '../../dns/iana.ts';
import { MAX_NAME_BYTES } from '../../dns/name.ts';
import { type Answer, madeAnswer } from '../../query/answer.ts';
import type { Client, Query } from '../../query/query.ts';

/** Answers any question of any type: an empty answer with the client in the additional section. */
export function whoami(query: Query): Answer {
  const { name, type, class: qclass } = query;
  const additional = query.isInternal ? [] : [addressRecord(query.client), ...portRecord(query)];
  const response = { rcode: RCODE.NOERROR, flags: FLAG.AA, additional };
  return madeAnswer({ name, type, class: qclass }, response, 'whoami', { shareable: false });
}

function addressRecord({ address, family }: Client): NewRecord {
  const type = family === 4 ? TYPE.A : TYPE.AAAA;
  return { type, ttlSeconds: 0, rdata: addressBytes(address) };
}

/** SRV 0 0 port `.` at `_udp.` or `_tcp.` below the question; none if that name would be too long. */
function portRecord({ name, transport, client }: Query): NewRecord[] {
  const label = Buffer.from(`_${transport}`);
  if (name.length + 1 + label.length > MAX_NAME_BYTES) return [];
  const owner = Uint8Array.of(label.length, ...label, 0xc0, HEADER_BYTES);
  const rdata = Uint8Array.of(0, 0, 0, 0, client.port >> 8, client.port & 0xff, 0);
  return [{ name: owner, type: TYPE.SRV, ttlSeconds: 0, rdata }];
}
