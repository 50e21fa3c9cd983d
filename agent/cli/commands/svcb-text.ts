/** RDATA of SVCB and HTTPS records in presentation format (RFC 9460 §2.1). */
import { formatAddress } from '../../base/address.ts';
import { nameToText, readName } from '../../dns/name.ts';

const KEYS = ['mandatory', 'alpn', 'no-default-alpn', 'port', 'ipv4hint', 'ech', 'ipv6hint'];

/** Undefined if the RDATA is malformed, or has a key that this code does not know. */
export function svcbText(rdata: Buffer): string | undefined {
  if (rdata.length < 3) return undefined;
  const target = readName(rdata, 2, rdata.length);
  if (target === undefined) return undefined;
  const words = [String(rdata.readUInt16BE(0)), nameToText(target)];
  for (let at = 2 + target.length; at < rdata.length; ) {
    if (at + 4 > rdata.length) return undefined;
    const end = at + 4 + rdata.readUInt16BE(at + 2);
    const word =
      end > rdata.length ? undefined : param(rdata.readUInt16BE(at), rdata.subarray(at + 4, end));
    if (word === undefined) return undefined;
    words.push(word);
    at = end;
  }
  return words.join(' ');
}

function param(key: number, value: Buffer): string | undefined {
  const name = KEYS[key];
  if (name === undefined) return undefined;
  if (name === 'no-default-alpn') return value.length === 0 ? name : undefined;
  const text = valueText(name, value);
  return text === undefined ? undefined : `${name}=${text}`;
}

function valueText(name: string, value: Buffer): string | undefined {
  switch (name) {
    case 'port':
      return value.length === 2 ? String(value.readUInt16BE(0)) : undefined;
    case 'ipv4hint':
      return addresses(value, 4);
    case 'ipv6hint':
      return addresses(value, 16);
    case 'ech':
      return value.toString('base64');
    case 'alpn':
      return protocols(value);
    default:
      return keyNames(value);
  }
}

function addresses(value: Buffer, bytes: number): string | undefined {
  if (value.length === 0 || value.length % bytes !== 0) return undefined;
  const count = value.length / bytes;
  return Array.from({ length: count }, (_, i) =>
    formatAddress(value.subarray(i * bytes, (i + 1) * bytes)),
  ).join(',');
}

/** Undefined for names that would need escapes. */
function protocols(value: Buffer): string | undefined {
  const names: string[] = [];
  for (let at = 0; at < value.length; ) {
    const end = at + 1 + (value[at] as number);
    const name = value.toString('latin1', at + 1, end);
    if (end > value.length || !/^[\w./+-]+$/.test(name)) return undefined;
    names.push(name);
    at = end;
  }
  return names.join(',');
}

function keyNames(value: Buffer): string | undefined {
  if (value.length % 2 !== 0) return undefined;
  const numbers = Array.from({ length: value.length / 2 }, (_, i) => value.readUInt16BE(2 * i));
  return numbers.map((number) => KEYS[number] ?? `key${number}`).join(',');
}
