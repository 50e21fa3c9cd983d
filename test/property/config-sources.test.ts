import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { it } from 'node:test';
import fc from 'fast-check';
import { parseEndpoint } from '../../agent/base/address.ts';
import { clusterDomainOf, parseResolvConf } from '../../agent/base/resolv-conf.ts';
import { expandZone, reverseZones } from '../../agent/config/corefile/keys.ts';
import { NO_KUBE_DNS, readKubeDns } from '../../agent/config/kube-dns.ts';
import { renderCorefile } from '../../agent/config/placeholders.ts';
import { memoryFiles } from '../support/corefiles/memory-files.ts';
import { parseText } from '../support/corefiles/parse.ts';

const bounds: fc.Parameters<unknown> = { numRuns: 500, interruptAfterTimeLimit: 5_000 };

const resolvPiece = fc.constantFrom(
  ...['nameserver', 'search', 'domain', 'options', ' ', '\t', '\n', '\r\n', '#', ';', '\0', '.'],
  ...['10.0.0.1', 'fd00::1', 'fe80::1%eth0', '256.1.1.1', 'svc.cluster.local', 'ndots:5', 'ndots:'],
);

it('whatever resolv.conf contains, the result has only addresses', () => {
  fc.assert(
    fc.property(fc.array(resolvPiece, { maxLength: 40 }), (pieces) => {
      const conf = parseResolvConf(pieces.join(''));
      assert.ok(conf.nameservers.every((server) => isIP(server) !== 0));
      assert.equal(new Set(conf.nameservers).size, conf.nameservers.length);
      assert.ok(conf.ndots >= 0 && conf.ndots <= 15);
      const domain = clusterDomainOf(conf);
      if (domain !== undefined) assert.equal(expandZone(domain, { file: 'f', line: 1 }).length, 1);
    }),
    bounds,
  );
});

const server = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(fc.ipV4(), fc.nat({ max: 70_000 })).map(([ip, port]) => `${ip}:${port}`),
  fc.constantFrom('ns.test', '', ' ', '1.1.1.1\n}', '{$A}', 'tls://1.1.1.1'),
);
const domain = fc.oneof(
  fc.domain(),
  fc.constantFrom('Acme.Local', 'a b', '', '.', '{', 'x\n}\ny {'),
);

it('whatever the kube-dns ConfigMap contains, the rendered Corefile can be parsed', () => {
  const keys = fc.record({
    stubDomains: fc.oneof(
      fc.dictionary(domain, fc.array(server, { maxLength: 3 }), { maxKeys: 2 }),
      fc.jsonValue(),
    ),
    upstreamNameservers: fc.oneof(fc.array(server, { maxLength: 3 }), fc.jsonValue()),
  });
  fc.assert(
    fc.property(keys, ({ stubDomains, upstreamNameservers }) => {
      const files = memoryFiles({
        '/kube-dns/stubDomains': JSON.stringify(stubDomains),
        '/kube-dns/upstreamNameservers': JSON.stringify(upstreamNameservers),
      });
      const { config: kubeDns } = readKubeDns('/kube-dns', files, NO_KUBE_DNS);
      const { text } = renderCorefile('. {\n forward . __PILLAR__UPSTREAM__SERVERS__\n}', 'base', {
        localIps: ['169.254.20.10'],
        upstreamService: 'kube-dns',
        upstreamServiceIp: undefined,
        prometheusEndpoint: ':9253',
        dnsPort: 53,
        kubeDns,
        clusterDomain: undefined,
      });
      const { blocks } = parseText(text);
      assert.equal(blocks.length, 1 + kubeDns.stubDomains.size);
      for (const { directives } of blocks) {
        const forward = directives.find(({ name }) => name === 'forward');
        const targets = forward?.uses[0]?.args.slice(1).map((arg) => arg.text) ?? [];
        assert.ok(targets.length > 0);
        for (const target of targets)
          assert.ok(target === '/etc/resolv.conf' || parseEndpoint(target, 53) !== undefined);
      }
    }),
    bounds,
  );
});

it('reverse zones cover each address of a network once, and nothing else', () => {
  const bytes = fc.uint8Array({ minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(bytes, fc.nat({ max: 32 }), bytes, (network, prefix, address) => {
      const zones = reverseZones({ bytes: network, prefix, family: 4 });
      const name = `${[...address].reverse().join('.')}.in-addr.arpa.`;
      const toNumber = (bytes: Uint8Array): number => Buffer.from(bytes).readUInt32BE();
      const shift = 2 ** (32 - prefix);
      const inside =
        Math.floor(toNumber(network) / shift) === Math.floor(toNumber(address) / shift);
      const covering = zones.filter((zone) => `.${name}`.endsWith(`.${zone}`)).length;
      assert.equal(covering, inside ? 1 : 0);
    }),
    { ...bounds, examples: [[Uint8Array.of(10, 1, 2, 0), 23, Uint8Array.of(10, 1, 3, 9)]] },
  );
});
