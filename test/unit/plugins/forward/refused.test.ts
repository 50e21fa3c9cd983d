import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { forward, PEMS } from './forwarding.ts';

const WRONG: readonly [string, RegExp][] = [
  ['forward', /needs/],
  ['forward .', /needs/],
  ['forward . dns.example', /Corefile:2: .*given by name, and \/etc\/resolv\.conf cannot be read/],
  ['forward . /etc/dns', /Corefile:2: "\/etc\/dns" is neither an IP address, a name nor/],
  ['forward . 192.0.2.300', /"192\.0\.2\.300" is neither an IP address, a name nor/],
  ['forward . a..b', /is neither an IP address, a name nor/],
  ['forward . dns.example {\nresolver dns.other\n}', /Corefile:3: "dns\.other" is not the IP/],
  [
    'forward . dns.example {\nresolver 169.254.20.10\n}',
    /Corefile:3: .*resolver names only 169\.254\.20\.10:53, which is nodens itself/,
  ],
  [
    'forward . 192.0.2.1 dns.example {\nresolver 192.0.2.2\nendpoints a.example\n}',
    /Corefile:2: endpoints takes upstreams by address/,
  ],
  ['forward . tls://192.0.2.1%', /is neither an IP address nor a name/],
  ['forward . tls://192.0.2.1%a_b', /"a_b" is not a server name/],
  ['forward . tls://192.0.2.1%a {\ntls_servername b\n}', /and so does tls_servername/],
  ['forward . tls://192.0.2.1 {\ntls /missing\n}', /"\/missing" cannot be read/],
  ['forward . tls://192.0.2.1 {\ntls /text\n}', /"\/text" contains no certificate/],
  ['forward . tls://192.0.2.1 {\ntls /cert.pem /text\n}', /"\/text" contains no private key/],
  ['forward . tls://192.0.2.1 {\ntls /cert.pem /other.pem\n}', /is not the key of/],
  ['forward . tls://192.0.2.1 {\ntls a b c d\n}', /at most 3/],
  ['forward . 192.0.2.1 {\nread_timeout 1ms\n}', /too little|at least/],
  ['forward . 192.0.2.1 {\ncase_randomization yes\n}', /takes no argument/],
  ['forward . quic://192.0.2.1', /not supported yet/],
  ['forward . https://', /neither an IP address nor a name/],
  ['forward . https://192.0.2.1/a{?dns}', /"\/a\{\?dns\}" is not the path of a URL/],
  ['forward . gopher://192.0.2.1', /unknown scheme/],
  ['forward . dns://1.2.3', /is neither an IP address nor a name/],
  ['forward . 192.0.2.1:0', /neither an IP address/],
  ['forward . 169.254.20.10', /nodens itself listens there, and no other/],
  ['forward . /empty', /no nameserver found/],
  [`forward . ${Array.from({ length: 16 }, (_, i) => `192.0.2.${i}`).join(' ')}`, /at most 15/],
  [
    'forward . 192.0.2.1 {\nsource_address eth0\n}',
    /Corefile:3: "eth0" is not an IP address to send from/,
  ],
  ['forward . https://192.0.2.1 {\ndoh_method PUT\n}', /unknown "PUT"/],
  ['forward . 192.0.2.1 {\nforce_udp\n}', /Corefile:3: unknown option "force_udp"/],
  ['forward . 192.0.2.1 {\nforce_tcp yes\n}', /takes no argument/],
  ['forward . 192.0.2.1 {\npolicy fastest\n}', /unknown "fastest"/],
  ['forward . 192.0.2.1 {\nmax_fails -1\n}', /too little/],
  ['forward . 192.0.2.1 {\nexpire 10\n}', /a duration like/],
  ['forward . 192.0.2.1 {\nhealth_check\n}', /needs/],
  ['forward . 192.0.2.1 {\nhealth_check 1s domain\n}', /needs a name/],
  ['forward . 192.0.2.1 {\nhealth_check 1s rec\n}', /unknown "rec"/],
  ['forward . 192.0.2.1 {\nfailover NOERROR\n}', /NOERROR/],
  ['forward . 192.0.2.1 {\nnext SOMETIMES\n}', /not a response code/],
  ['forward . 192.0.2.1 {\nexcept\n}', /needs/],
];

for (const [text, reason] of WRONG) {
  test(`refused: ${text.replaceAll('\n', ' ').slice(0, 60)}`, () => {
    assert.throws(
      () => forward(text, { ...PEMS, '/empty': 'search example.org\n' }),
      (error) => {
        assert.ok(error instanceof ConfigError, String(error));
        assert.match(error.message, reason);
        return true;
      },
    );
  });
}
