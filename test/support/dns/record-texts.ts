/** A record of each type in presentation format, as a person writes it, without owner, TTL and class. */

/** `dig` is the output of dig where it differs from the text. */
export interface RecordText {
  readonly type: string;
  readonly data: string;
  readonly dig?: string;
}

const of = (type: string, data: string, dig?: string): RecordText =>
  dig === undefined ? { type, data } : { type, data, dig };

const KEY = 'AwEAAcBW5zq9sNTJMHDsDFqCwFv1pXkBAsdfGHJKlqwertyuiopzxcvbnmAA';
const SHA1 = '0123456789ABCDEF0123456789ABCDEF01234567';
const SHA256 = `${SHA1}0123456789ABCDEF01234567`;

export const RECORD_TEXTS: readonly RecordText[] = [
  of('A', '192.0.2.1'),
  of('NS', 'ns.x.test.'),
  of('MD', 'mail.x.test.'),
  of('MF', 'mail.x.test.'),
  of('MB', 'host.x.test.'),
  of('MG', 'member.x.test.'),
  of('MR', 'new.x.test.'),
  of('MINFO', 'owner.x.test. errors.x.test.'),
  of('CNAME', 'b\\.c.x.test.'),
  of(
    'SOA',
    'ns.x.test. admin.x.test. 1 1h 15m 1w 60',
    'ns.x.test. admin.x.test. 1 3600 900 604800 60',
  ),
  of('PTR', '\\000a.x.test.'),
  of('HINFO', '"a cpu" "an os"'),
  of('MX', '10 mail.x.test.'),
  of('TXT', 'one "two three" "\\200\\034\\\\;"', '"one" "two three" "\\200\\"\\\\;"'),
  of('RP', 'admin.x.test. text.x.test.'),
  of('AFSDB', '1 db.x.test.'),
  of('X25', '"311061700956"'),
  of('ISDN', '"150862028003217" "004"'),
  of('RT', '10 relay.x.test.'),
  of(
    'NSAP',
    '0x47000580005a0000000001e133ffffff00016100',
    '0x47000580005a0000000001e133ffffff00016100',
  ),
  of('NSAP-PTR', 'host.x.test.'),
  of('PX', '10 a.x.test. b.x.test.'),
  of('GPOS', '"-32.6882" "116.8652" "10.0"'),
  of('AAAA', '2001:db8::1'),
  of('LOC', '52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m'),
  of('LOC', '42 N 71 6 18 W 24', '42 0 0.000 N 71 6 18.000 W 24.00m 1m 10000m 10m'),
  of('EID', 'E32C6F78163A9348'),
  of('NIMLOC', '32251A030067'),
  of('SRV', '1 2 443 a.x.test.'),
  of('NAPTR', '100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.x.test.'),
  of('KX', '10 kx.x.test.'),
  of('CERT', `PKIX 12345 RSASHA256 ${KEY}`),
  of('DNAME', 'other.test.'),
  of('APL', '1:192.168.32.0/21 !1:192.168.38.0/28 2:fd00::/8'),
  of('DS', `60485 5 1 ${SHA1}`),
  of('SSHFP', `4 2 ${SHA256}`),
  of('IPSECKEY', `10 1 2 192.0.2.38 ${KEY}`),
  of('IPSECKEY', '10 3 2 gateway.x.test. AQID'),
  of('RRSIG', `A 13 2 300 20300101000000 20200101000000 2642 x.test. ${KEY}`),
  of('NSEC', 'host.x.test. A MX RRSIG NSEC TYPE1234'),
  of('DNSKEY', `257 3 13 ${KEY}`),
  of('DHCID', KEY),
  of('NSEC3', '1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG'),
  of('NSEC3PARAM', '1 0 12 -'),
  of('TLSA', `3 1 1 ${SHA256}`),
  of('SMIMEA', `0 0 1 ${SHA256}`),
  of('HIP', `2 200100107B1A74DF365639CC39F1D578 ${KEY} rvs.x.test.`),
  of('NINFO', '"info"'),
  of('RKEY', `0 3 13 ${KEY}`),
  of('TALINK', 'a.x.test. b.x.test.'),
  of('CDS', '0 0 0 00'),
  of('CDNSKEY', '0 3 0 AA=='),
  of('OPENPGPKEY', KEY),
  of('CSYNC', '66 3 A NS AAAA'),
  of('ZONEMD', `2018031900 1 1 ${SHA256}${SHA1.slice(0, 32)}`),
  of('SVCB', '1 .'),
  of(
    'SVCB',
    '16 foo.x.test. ipv4hint=192.0.2.1,192.0.2.2 alpn="h2,h3-19" mandatory=ipv4hint,alpn port=8443',
    '16 foo.x.test. mandatory=alpn,ipv4hint alpn="h2,h3-19" port=8443 ipv4hint=192.0.2.1,192.0.2.2',
  ),
  of('SVCB', '1 foo.x.test. dohpath="/dns-query{?dns}"', '1 foo.x.test. key7="/dns-query{?dns}"'),
  of('HTTPS', '0 svc.x.test.'),
  of(
    'HTTPS',
    '1 . alpn=h2 no-default-alpn ech=AEj+DQBEAQAgACA= ipv6hint=2001:db8::1 key667="hello\\210qoo"',
    '1 . alpn="h2" no-default-alpn ech=AEj+DQBEAQAgACA= ipv6hint=2001:db8::1 key667="hello\\210qoo"',
  ),
  of('SPF', '"v=spf1 -all"'),
  of('UINFO', '"Jane Doe"', '\\# 9 084A616E6520446F65'),
  of('UID', '1001', '\\# 4 000003E9'),
  of('GID', '100', '\\# 4 00000064'),
  of('NID', '10 0014:4fff:ff20:ee64', '10 14:4fff:ff20:ee64'),
  of('L32', '10 10.1.2.0'),
  of('L64', '10 2001:0db8:1140:1000', '10 2001:db8:1140:1000'),
  of('LP', '10 l64.x.test.'),
  of('EUI48', '00-00-5e-00-53-2a'),
  of('EUI64', '00-00-5e-ef-10-00-00-2a'),
  of('URI', '10 1 "ftp://ftp.x.test/public"'),
  of('CAA', '128 issue "ca.x.test; policy=ev"'),
  of('AVC', '"app-name:x"'),
  of('AMTRELAY', '10 1 2 2001:db8::15'),
  of('TA', `60485 5 1 ${SHA1}`),
  of('DLV', `60485 5 1 ${SHA1}`),
  of('NULL', '\\# 3 010203'),
  of('TYPE1234', '\\# 4 c000 0201', '\\# 4 C0000201'),
];
