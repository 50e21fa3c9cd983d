import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nameFromText, nameToText } from '../../../../agent/dns/name.ts';
import { clusterDomains } from '../../../../agent/plugins/cache/cluster.ts';
import { readCache, setup } from '../../../../agent/plugins/cache/setup.ts';
import { Answer } from '../../../../agent/query/answer.ts';
import { Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { fakeServices } from '../../../support/services.ts';

function config(text: string, keys = '.') {
  const { directive, block } = parseDirective(text, keys);
  return readCache(directive, block);
}

const options = (text: string) => config(text).options;

describe('cache setup', () => {
  it('has the documented defaults', () => {
    assert.deepEqual(config('cache', 'example.org'), {
      zones: ['example.org.'],
      isNarrowed: false,
      options: {
        success: { capacity: 9_984, maxTtlSeconds: 3_600, minTtlSeconds: 5 },
        denial: { capacity: 9_984, maxTtlSeconds: 1_800, minTtlSeconds: 5 },
        servfailMs: 1_000,
        disableSuccess: [],
        disableDenial: [],
        keepTtl: false,
        prefetch: undefined,
        serveStale: undefined,
        lastKnownGood: undefined,
        nxdomainCut: [],
        nxdomainProbe: [],
        cluster: {
          domains: [nameFromText('cluster.local.')],
          denial: { capacity: 9_984, maxTtlSeconds: 5, minTtlSeconds: 0 },
        },
      },
    });
  });

  describe('denials of cluster names', () => {
    const cluster = (text: string) => config(text, 'cluster.local').options.cluster.denial;

    it('have a TTL of at most 5 s by default, and never more than the Corefile allows', () => {
      assert.deepEqual(cluster('cache 30'), {
        capacity: 9_984,
        maxTtlSeconds: 5,
        minTtlSeconds: 0,
      });
      assert.equal(cluster('cache 3').maxTtlSeconds, 3);
      assert.deepEqual(cluster('cache {\ndenial 77\n}'), {
        capacity: 77,
        maxTtlSeconds: 5,
        minTtlSeconds: 0,
      });
    });

    it('have the TTL of denial, 0 included', () => {
      assert.equal(cluster('cache {\ndenial 9984 60\n}').maxTtlSeconds, 60);
      assert.equal(cluster('cache {\ndenial 9984 0\n}').maxTtlSeconds, 0);
    });

    it('are recognised by the search path, too', () => {
      const services = fakeServices();
      services.texts.set('/etc/resolv.conf', 'search ns.svc.k8s.corp svc.K8s.corp corp\n');
      assert.deepEqual(clusterDomains(services.files), ['cluster.local.', 'k8s.corp.']);
      assert.deepEqual(clusterDomains(fakeServices().files), ['cluster.local.']);
    });
  });

  describe('last_known_good', () => {
    const zone = nameFromText('example.org.');

    for (const [line, windowMs] of [
      ['last_known_good', 3_600_000],
      ['last_known_good 10m', 600_000],
      ['last_known_good 10m example.org', 600_000],
      ['last_known_good example.org', 3_600_000],
    ] as const) {
      it(`reads ${line}`, () => {
        const read = config(`cache {\n${line}\n}`, 'example.org').options.lastKnownGood;
        assert.deepEqual(read, { windowMs, zones: [zone] });
      });
    }

    it('reads a network as its reverse zone, not as a duration', () => {
      const read = options('cache {\nlast_known_good 10.0.0.0/8\n}').lastKnownGood;
      assert.deepEqual(read?.zones, [nameFromText('10.in-addr.arpa.')]);
    });

    for (const [text, keys] of [
      ['cache {\nlast_known_good\n}', 'cluster.local'],
      ['cache {\nlast_known_good 1h svc.cluster.local\n}', '.'],
    ] as const) {
      it(`is refused for the cluster domain (${keys})`, () => {
        assert.throws(
          () => config(text, keys),
          /^ConfigError: \/etc\/Corefile:3: .*is in the cluster domain cluster\.local\./,
        );
      });
    }

    it('is refused above a day', () => {
      assert.throws(() => options('cache {\nlast_known_good 25h\n}'), /too much/);
    });
  });

  it("reads the zones of nxdomain_cut, by default the block's own", () => {
    const cut = (text: string) => config(text, 'example.org').options.nxdomainCut.map(nameToText);
    assert.deepEqual(cut('cache'), []);
    assert.deepEqual(cut('cache {\nnxdomain_cut\n}'), ['example.org.']);
    assert.deepEqual(cut('cache {\nnxdomain_cut a.example.org b.example.org\n}'), [
      'a.example.org.',
      'b.example.org.',
    ]);
  });

  it("reads the zones of nxdomain_probe, by default the block's own", () => {
    const probed = (text: string) => config(text, 'x.org').options.nxdomainProbe.map(nameToText);
    assert.deepEqual(probed('cache'), []);
    assert.deepEqual(probed('cache {\nnxdomain_probe\n}'), ['x.org.']);
    assert.deepEqual(probed('cache {\nnxdomain_probe a.x.org\nnxdomain_cut b.x.org\n}'), [
      'a.x.org.',
    ]);
  });

  it('reads TTL and zones from the first line', () => {
    const { options: read, zones, isNarrowed } = config('cache 30 Example.org 10.0.0.0/8');
    assert.deepEqual([read.success.maxTtlSeconds, read.denial.maxTtlSeconds], [30, 30]);
    assert.deepEqual(zones, ['example.org.', '10.in-addr.arpa.']);
    assert.equal(isNarrowed, true);
    assert.deepEqual(config('cache example.org').zones, ['example.org.']);
  });

  it('reads capacity and TTLs of each kind', () => {
    const read = options('cache 30 {\nsuccess 100 7200 0\ndenial 50 10\n}');
    assert.deepEqual(read.success, { capacity: 100, maxTtlSeconds: 7_200, minTtlSeconds: 0 });
    assert.deepEqual(read.denial, { capacity: 50, maxTtlSeconds: 10, minTtlSeconds: 5 });
  });

  for (const [line, expected] of [
    ['prefetch 2', { amount: 2, windowMs: 60_000, percentage: 10 }],
    ['prefetch 2 10m', { amount: 2, windowMs: 600_000, percentage: 10 }],
    ['prefetch 2 10m 90%', { amount: 2, windowMs: 600_000, percentage: 90 }],
    ['prefetch 0', undefined],
  ] as const) {
    it(`reads ${line}`, () => {
      assert.deepEqual(options(`cache {\n${line}\n}`).prefetch, expected);
    });
  }

  const stale = {
    windowMs: 3_600_000,
    mode: 'immediate',
    budgetMs: 0,
    ttlSeconds: 30,
    recheckMs: 1_000,
  };
  for (const [line, changes] of [
    ['serve_stale', {}],
    ['serve_stale 24h', { windowMs: 86_400_000 }],
    ['serve_stale 24h immediate', { windowMs: 86_400_000 }],
    ['serve_stale immediate 5s 10s', { ttlSeconds: 5, recheckMs: 10_000 }],
    ['serve_stale verify', { mode: 'verify', budgetMs: 200 }],
    ['serve_stale 1h verify 50ms', { mode: 'verify', budgetMs: 50 }],
    ['serve_stale 1h verify 50ms 0s', { mode: 'verify', budgetMs: 50, ttlSeconds: 0 }],
    [
      'serve_stale 1m verify 50ms 10s 5m',
      { windowMs: 60_000, mode: 'verify', budgetMs: 50, ttlSeconds: 10, recheckMs: 300_000 },
    ],
  ] as const) {
    it(`reads ${line}`, () => {
      assert.deepEqual(options(`cache {\n${line}\n}`).serveStale, { ...stale, ...changes });
    });
  }

  it('reads servfail, keepttl, disable and the policy', () => {
    const read = options(
      'cache {\nservfail 5s\nkeepttl\ndisable success example.org\ndisable denial\nserve_stale_policy prefer_positive\n}',
    );
    assert.equal(read.servfailMs, 5_000);
    assert.equal(read.keepTtl, true);
    assert.deepEqual(read.disableSuccess.map(nameToText), ['example.org.']);
    assert.deepEqual(read.disableDenial.map(nameToText), ['.']);
  });

  for (const [text, message] of [
    ['cache 0', /:2: "0" is too little: at least 1$/],
    ['cache -5', /:2: "-5" is too little/],
    ['cache\ncache', /:3: cache is allowed once per server block/],
    ['cache {\nsuccess\n}', /:3: success needs at least one argument/],
    ['cache {\nsuccess many\n}', /:3: "many" is not a whole number/],
    ['cache {\nsuccess 100 0\n}', /:3: "0" is too little/],
    ['cache {\ndenial 1 2 3 4\n}', /:3: denial takes at most 3 arguments: remove "4"/],
    ['cache {\nprefetch 2 1m 5%\n}', /:3: "5%" is too little: at least 10%/],
    ['cache {\nprefetch 2 1m 91%\n}', /:3: "91%" is too much: at most 90%/],
    ['cache {\nprefetch -1\n}', /:3: "-1" is too little/],
    ['cache {\nservfail 10m\n}', /:3: "10m" is too much: at most 5m/],
    ['cache {\nserve_stale 1h never\n}', /:3: unknown "never"/],
    ['cache {\nserve_stale soon\n}', /:3: "soon" is not a duration/],
    ['cache {\nserve_stale 1h immediate 1s 1s 1s\n}', /:3: "1s" is not an argument of immediate/],
    ['cache {\nserve_stale verify 1s 1s 6m\n}', /:3: "6m" is too much: at most 5m/],
    ['cache {\nserve_stale_policy any\n}', /:3: unknown "any"/],
    ['cache {\ndisable all\n}', /:3: unknown "all"/],
    [
      'cache {\nnxdomain_cut a.b.org\nnxdomain_probe b.org\n}',
      /:4: nxdomain_cut has b\.org\. as well: name it in one of the two/,
    ],
    [
      'cache {\nnxdomain_probe a.b.org\nnxdomain_cut b.org\n}',
      /:3: nxdomain_cut has a\.b\.org\. as well/,
    ],
    ['cache {\nkeepttl on\n}', /:3: keepttl takes no argument: remove "on"/],
    ['cache {\nprefech 1\n}', /:3: unknown option "prefech" of cache: did you mean "prefetch"\?/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => config(text), { name: 'ConfigError', message });
    });
  }
});

describe('cache plugin', () => {
  const nothing = new Answer({
    wire: Buffer.alloc(12),
    ttlOffsets: [],
    rcode: 0,
    plugin: 'next',
  });

  /** The queried names that reach the cache, with the label that their block got. */
  function through(text: string, names: readonly string[]) {
    const { directive, block } = parseDirective(text, 'example.org example.net');
    const seen: string[] = [];
    const opened: string[] = [];
    const services = fakeServices({
      cache: {
        open: (_block, zonesLabel) => {
          opened.push(zonesLabel);
          return {
            handle: (query, next) => {
              seen.push(query.nameText);
              return next(query);
            },
          };
        },
      },
    });
    const plugin = setup(directive, block, services);
    for (const name of names) {
      const server = { index: 0, label: '' };
      const flags = { dnssecOk: false, checkingDisabled: false };
      const query = Query.internal({ name: nameFromText(name), type: 1, server, ...flags }, 0);
      assert.equal(
        plugin.handle?.(query, () => nothing),
        nothing,
      );
    }
    return { seen, opened };
  }

  it('sends every query of its block through the cache', () => {
    const { seen, opened } = through('cache', ['a.example.org.', 'example.net.']);
    assert.deepEqual(seen, ['a.example.org.', 'example.net.']);
    assert.deepEqual(opened, ['example.org.,example.net.']);
  });

  it('passes on names outside its zones', () => {
    const { seen, opened } = through('cache sub.example.org', [
      'example.org.',
      'sub.example.org.',
      'a.sub.example.org.',
      'xsub.example.org.',
    ]);
    assert.deepEqual(seen, ['sub.example.org.', 'a.sub.example.org.']);
    assert.deepEqual(opened, ['sub.example.org.']);
  });
});
