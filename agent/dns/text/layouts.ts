/** RDATA of each type as a list of fields, in the order of presentation and of the wire. */
import { TYPE } from '../iana.ts';
import {
  address,
  bareText,
  base32Hash,
  base64OrNothing,
  base64Rest,
  type Field,
  groups,
  hexBytes,
  hexRest,
  interval,
  mnemonic,
  moment,
  name,
  nextWord,
  salt,
  text,
  texts,
  typeBitmap,
  typeField,
  u8,
  u16,
  u32,
  u64,
} from './fields.ts';
import { amtRelay, hostIdentity, ipsecKey, location, prefixes } from './odd-fields.ts';
import { svcParams } from './svcb.ts';

/** DNSSEC algorithm numbers by name (RFC 4034 appendix A.1 and the IANA registry). */
const algorithm = mnemonic(1, {
  RSAMD5: 1,
  DH: 2,
  DSA: 3,
  RSASHA1: 5,
  'DSA-NSEC3-SHA1': 6,
  'RSASHA1-NSEC3-SHA1': 7,
  RSASHA256: 8,
  RSASHA512: 10,
  ECDSAP256SHA256: 13,
  ECDSAP384SHA384: 14,
  ED25519: 15,
  ED448: 16,
});

/** Certificate types (RFC 4398 §2.1). */
const certificate = mnemonic(2, {
  PKIX: 1,
  SPKI: 2,
  PGP: 3,
  IPKIX: 4,
  ISPKI: 5,
  IPGP: 6,
  ACPKIX: 7,
  IACPKIX: 8,
  URI: 253,
  OID: 254,
});

/** The second string may be missing (RFC 1183 §3.2). */
const mayBeText: Field = (words) => (words.length === 0 ? new Uint8Array() : text(words));

/** `0x` and hex digits; dots between them are ignored (RFC 1706 §7). */
const nsap: Field = (words) => {
  const { raw } = nextWord(words);
  if (!/^0x/i.test(raw)) throw new RangeError(`"${raw}" does not start with 0x`);
  return hexBytes(raw.slice(2).replaceAll('.', ''));
};

const NAME: readonly Field[] = [name];
const NUMBER_AND_NAME: readonly Field[] = [u16, name];
const TEXTS: readonly Field[] = [texts];
const KEY: readonly Field[] = [u16, u8, algorithm, base64OrNothing];
const DIGEST: readonly Field[] = [u16, algorithm, u8, hexRest];
const ASSOCIATION: readonly Field[] = [u8, u8, u8, hexRest];
const SIGNATURE: readonly Field[] = [
  ...[typeField, algorithm, u8, interval, moment, moment, u16, name],
  base64Rest,
];
const SERVICE: readonly Field[] = [u16, name, svcParams];

/** By type. RDATA of a type without an entry can only be written as in RFC 3597 §5. */
export const LAYOUTS: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  [TYPE.A, [address(4)]],
  [TYPE.NS, NAME],
  [TYPE.MD, NAME],
  [TYPE.MF, NAME],
  [TYPE.CNAME, NAME],
  [TYPE.SOA, [name, name, u32, interval, interval, interval, interval]],
  [TYPE.MB, NAME],
  [TYPE.MG, NAME],
  [TYPE.MR, NAME],
  [TYPE.PTR, NAME],
  [TYPE.HINFO, [text, text]],
  [TYPE.MINFO, [name, name]],
  [TYPE.MX, NUMBER_AND_NAME],
  [TYPE.TXT, TEXTS],
  [TYPE.RP, [name, name]],
  [TYPE.AFSDB, NUMBER_AND_NAME],
  [TYPE.X25, [text]],
  [TYPE.ISDN, [text, mayBeText]],
  [TYPE.RT, NUMBER_AND_NAME],
  [TYPE.NSAP, [nsap]],
  [TYPE['NSAP-PTR'], NAME],
  [TYPE.SIG, SIGNATURE],
  [TYPE.KEY, KEY],
  [TYPE.PX, [u16, name, name]],
  [TYPE.GPOS, [text, text, text]],
  [TYPE.AAAA, [address(6)]],
  [TYPE.LOC, [location]],
  [TYPE.EID, [hexRest]],
  [TYPE.NIMLOC, [hexRest]],
  [TYPE.SRV, [u16, u16, u16, name]],
  [TYPE.NAPTR, [u16, u16, text, text, text, name]],
  [TYPE.KX, NUMBER_AND_NAME],
  [TYPE.CERT, [certificate, u16, algorithm, base64Rest]],
  [TYPE.DNAME, NAME],
  [TYPE.APL, [prefixes]],
  [TYPE.DS, DIGEST],
  [TYPE.SSHFP, [u8, u8, hexRest]],
  [TYPE.IPSECKEY, [ipsecKey]],
  [TYPE.RRSIG, SIGNATURE],
  [TYPE.NSEC, [name, typeBitmap]],
  [TYPE.DNSKEY, [u16, u8, algorithm, base64Rest]],
  [TYPE.DHCID, [base64Rest]],
  [TYPE.NSEC3, [u8, u8, u16, salt, base32Hash, typeBitmap]],
  [TYPE.NSEC3PARAM, [u8, u8, u16, salt]],
  [TYPE.TLSA, ASSOCIATION],
  [TYPE.SMIMEA, ASSOCIATION],
  [TYPE.HIP, [hostIdentity]],
  [TYPE.NINFO, TEXTS],
  [TYPE.RKEY, [u16, u8, algorithm, base64Rest]],
  [TYPE.TALINK, [name, name]],
  [TYPE.CDS, DIGEST],
  [TYPE.CDNSKEY, [u16, u8, algorithm, base64Rest]],
  [TYPE.OPENPGPKEY, [base64Rest]],
  [TYPE.CSYNC, [u32, u16, typeBitmap]],
  [TYPE.ZONEMD, [u32, u8, u8, hexRest]],
  [TYPE.SVCB, SERVICE],
  [TYPE.HTTPS, SERVICE],
  [TYPE.SPF, TEXTS],
  [TYPE.UINFO, [text]],
  [TYPE.UID, [u32]],
  [TYPE.GID, [u32]],
  [TYPE.NID, [u16, groups(4, 4, ':')]],
  [TYPE.L32, [u16, address(4)]],
  [TYPE.L64, [u16, groups(4, 4, ':')]],
  [TYPE.LP, NUMBER_AND_NAME],
  [TYPE.EUI48, [groups(6, 2, '-')]],
  [TYPE.EUI64, [groups(8, 2, '-')]],
  [TYPE.URI, [u16, u16, bareText]],
  [TYPE.CAA, [u8, text, bareText]],
  [TYPE.AVC, TEXTS],
  [TYPE.AMTRELAY, [amtRelay]],
  [TYPE.RESINFO, TEXTS],
  [TYPE.WALLET, TEXTS],
  [TYPE.CLA, TEXTS],
  [TYPE.IPN, [u64]],
  [TYPE.TA, DIGEST],
  [TYPE.DLV, DIGEST],
]);
