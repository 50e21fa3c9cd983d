import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { UsageError } from '../../../../agent/base/errors.ts';
import { fileOf } from '../../../../agent/config/files.ts';
import { dryRun } from '../../../../agent/daemon/configuration/dry-run.ts';
import { prepareAll } from '../../../../agent/query/plugin.ts';
import { check } from '../../../support/cli/check.ts';
import { parseText } from '../../../support/corefiles/parse.ts';

const dir = mkdtempSync(join(tmpdir(), 'nodens-check-'));
after(() => rmSync(dir, { recursive: true }));
const ROOT = new URL('../../../../', import.meta.url).pathname;
let files = 0;

function file(text: string, name = 'Corefile'): string {
  const path = join(dir, `${files++}-${name}`);
  writeFileSync(path, text);
  return path;
}

/** A block that gives no warning, with more lines. */
const block = (lines: string, keys = '.'): string =>
  `${keys} {\nbind 127.0.0.1\nerrors\ncache\nforward . 192.0.2.7\n${lines}\n}\n`;

describe('nodens check', () => {
  it('prints the effective configuration, with every default', async () => {
    const { code, out, warnings } = await check(file(block('prometheus\nlog a.example'), 'x'));
    assert.deepEqual({ code, warnings }, { code: 0, warnings: [] });
    assert.match(out, /^\.:53 \{\n {4}bind 127\.0\.0\.1\n {4}errors\n {4}cache \{\n/);
    assert.match(
      out,
      /success 9984 3600 5\n {8}denial 9984 # 1800 5; names of the cluster 5 0\n {8}servfail 1s\n/,
    );
    assert.match(out, /forward \. 192\.0\.2\.7:53 \{\n {8}policy random\n {8}max_fails 2\n/);
    assert.match(out, /\n {4}prometheus localhost:9153\n {4}log a\.example\n\}\n$/);
  });

  it('its output is a Corefile with the same meaning', async () => {
    const options = 'prefetch 3 2m 20%\nserve_stale 2h verify 300ms 20s 3s\nkeepttl\nservfail 2s';
    const text = `x.example:5353 10.0.0.0/8 {
      bind 127.0.0.1
      cache 60 {
        ${options}
        disable denial a.x.example
        denial 100 20
        nxdomain_cut b.x.example
        nxdomain_probe a.x.example
        last_known_good 2h a.x.example
      }
      forward . 192.0.2.1 192.0.2.2:54 {
        force_tcp
        except b.x.example
        policy sequential
        failover SERVFAIL REFUSED
        next NXDOMAIN
      }
      forward . 192.0.2.3
      log . "{remote} # {name}" {
        class error
      }
    }`;
    const first = await check(file(text));
    const second = await check(file(first.out));
    assert.equal(second.out, first.out);
    for (const option of options.split('\n').slice(0, 3)) assert.ok(first.out.includes(option));
  });

  it('refuses what the agent refuses, with place and reason', async () => {
    const path = file('. {\n  bind 127.0.0.1\n  forwrad . 192.0.2.1\n}');
    const { code, out, err } = await check(path);
    assert.equal(code, 1);
    assert.equal(out, '');
    assert.match(
      err,
      /^error: .*Corefile:3: unknown directive "forwrad": did you mean "forward"\?/,
    );
  });

  it('needs neither a token nor the name of a node for what asks the API server', async () => {
    const { code, out, warnings } = await check(file(block('autopath @node', 'cluster.local')));
    assert.deepEqual({ code, warnings }, { code: 0, warnings: [] });
    assert.match(out, /\n {4}autopath @node\n/);
  });

  it('refuses a loop to itself', async () => {
    const { code, err } = await check(file(block('').replace('192.0.2.7', '127.0.0.1')));
    assert.equal(code, 1);
    assert.match(err, /:5: 127\.0\.0\.1:53: nodens itself listens there/);
  });

  const bites: readonly [name: string, text: string, warning: RegExp][] = [
    [
      'force_tcp for the outside',
      '. {\nbind 127.0.0.1\nerrors\ncache\nforward . 192.0.2.7 {\nforce_tcp\n}\n}',
      /:5: force_tcp for a zone outside the cluster/,
    ],
    [
      'cluster domain missing',
      '. {\nbind 127.0.0.1\nerrors\ncache\nforward . /etc/resolv.conf 192.0.2.7\n}',
      /:1: no block for the cluster domain cluster\.local\./,
    ],
    ['port of the kubelet', block('health :10250'), /:10250: port 10250 belongs to the kubelet/],
    ['a status page for all', block('status :9254'), /:6: status :9254: each pod that reaches/],
    [
      'the same port twice',
      block('health :8080\nready 127.0.0.1:8080'),
      /port 8080 is asked for on every address and on one of them/,
    ],
    [
      'long memory of failures',
      block('').replace('cache', 'cache {\nserve_stale\nservfail 1m\n}'),
      /:4: servfail 1m: .*, while serve_stale waits to help/,
    ],
    ['no plugin answers', '. {\nbind 127.0.0.1\nerrors\n}', /:1: no plugin of this block answers/],
    [
      'kubernetes without forward',
      '. {\nbind 127.0.0.1\nerrors\ncache\nkubernetes cluster.local\n}',
      /:5: kubernetes without forward/,
    ],
    ['no cache', block('').replace('cache', ''), /:1: no cache/],
    ['no errors', block('').replace('errors', ''), /:1: no errors/],
    ['a forward behind another', block('forward . 192.0.2.8'), /:6: never asked: an earlier/],
    [
      'a forward for another zone',
      block('forward b.example 192.0.2.8', 'a.example'),
      /:6: never asked: b\.example\. is not in this block's zones/,
    ],
    [
      'a time where zones stand',
      block('').replace('cache', 'cache 30s'),
      /:4: cache 30s: this is a zone named "30s\.", not a time/,
    ],
    [
      'a zone that the block never sees: cache',
      block('', 'a.example').replace('cache', 'cache 30 b.example sub.a.example'),
      /:4: cache b\.example: no query for b\.example\. comes to this block/,
    ],
    [
      'a zone that the block never sees: log, whose format is no zone',
      block('log b.example {combined}', 'a.example'),
      /:6: log b\.example: no query/,
    ],
    [
      'a zone that the block never sees: template',
      block('template IN A b.example {\nrcode NXDOMAIN\n}', 'a.example'),
      /:6: template b\.example: no query/,
    ],
    [
      'a port glued to an IPv6 address',
      block('').replace('192.0.2.7', 'fd00::1:53'),
      /:5: fd00::1:53 is an address as a whole, .* \[fd00::1\]:53/,
    ],
    [
      'an upstream that the block itself serves, beside another',
      block('').replace('192.0.2.7', '192.0.2.7 127.0.0.1'),
      /:5: not forwarding to 127\.0\.0\.1:53: nodens itself listens there/,
    ],
    [
      'a pattern that takes long for a long name',
      block('rewrite name regex ([a-z0-9-]{1,63}[.]){9}svc[.]example x'),
      /:6: .*" needs \d+ steps for each character of a name, .* for \d+ ms/,
    ],
    ['an interface of another machine', block('bind eth-none0'), /bind eth-none0: taken for/],
  ];
  for (const [name, text, warning] of bites) {
    it(`warns: ${name}`, async () => {
      const path = file(text);
      const { code, warnings } = await check(path);
      assert.equal(code, 0);
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.match(warnings[0] as string, warning);
      assert.equal((await check('-strict', path)).code, 1);
    });
  }

  it('reads hosts files as the agent does', async () => {
    const text = Buffer.from('192.0.2.1 a # caf\xe9\n192.0.2.2 b\xe9\n', 'latin1');
    const hosts = file('', 'hosts');
    writeFileSync(hosts, text);
    const { code, warnings } = await check(file(block(`hosts ${hosts} {\nfallthrough\n}`)));
    assert.equal(code, 0);
    assert.match(warnings.join('\n'), /^warning: hosts: ignored 1 words .*-hosts:2\)$/);
    const refused = await check(file(block(`hosts ${dir}`)));
    assert.equal(refused.code, 1);
    assert.match(refused.err, /Corefile:6: hosts file .* is a directory, not a regular file/);
  });

  it('prints the memory that a hosts file needs and the memory available', async () => {
    const corefile = parseText(block('hosts /etc/hosts'));
    const text = Buffer.from('192.0.2.1 a\n'.repeat(1_000));
    const open = () => Promise.resolve(fileOf(text, ''));
    const { serverConfig, warnings } = dryRun(corefile, { read: () => '', open }, 1_000);
    await prepareAll(serverConfig.plugins, 'at once');
    assert.match(
      warnings.join('\n'),
      /^hosts file \/etc\/hosts cannot be read: needs \d+ bytes .*, 1000 are available; continuing without it$/,
    );
  });

  it('accepts flags of the agent before and after the file', async () => {
    const path = file(block('').replace('. {', 'cluster.internal {'));
    for (const argv of [
      ['-dns.port', '1053', path],
      [path, '--dns.port=1053', '-strict', '-cluster-domain=Cluster.Internal.'],
    ]) {
      assert.match((await check(...argv)).out, /^cluster\.internal\.:1053 \{/);
    }
    assert.equal((await check(path, '-quiet')).out, '');
    assert.match((await check('-help')).out, /-from-cluster-manifest/);
  });

  it('wrong usage is reported as such', async () => {
    const path = file(block(''));
    for (const argv of [
      [path, path],
      ['-nope'],
      ['-conf'],
      ['/no/such/file'],
      [file('a: [', 'a.yaml')],
    ])
      await assert.rejects(check(...argv), UsageError, argv.join(' '));
    await assert.rejects(check('-from-cluster-manifest', file('kind: Pod')), UsageError);
  });
});

describe('nodens check of a manifest', () => {
  it('accepts a DaemonSet with its ConfigMap as the cluster has it', async () => {
    const { code, out, err } = await check(`${ROOT}manifests/overlays/drop-in/node-local-dns.yaml`);
    assert.equal(code, 0, err);
    assert.equal(out.match(/^ {4}bind 169\.254\.20\.10 192\.0\.2\.10$/gm)?.length, 4);
    assert.match(out, /^cluster\.local\.:53 \{/);
  });

  it('accepts a ConfigMap alone, in a list, with other files', async () => {
    const data = { Corefile: '.:53 {\nimport own\n}\n', own: 'bind 127.0.0.1\nwhoami\n' };
    const list = { kind: 'List', items: [{ kind: 'ConfigMap', metadata: { name: 'x' }, data }] };
    const { code, out } = await check('-from-cluster-manifest', file(JSON.stringify(list)));
    assert.equal(code, 0);
    assert.equal(out, '.:53 {\n    bind 127.0.0.1\n    whoami\n}\n');
  });

  it('fills in the environment of the container', async () => {
    const text = `
kind: ConfigMap
metadata: {name: conf}
data:
  Corefile.base: |
    a.example {
      bind __PILLAR__LOCAL__DNS__
      forward . __PILLAR__CLUSTER__DNS__
    }
---
kind: ConfigMap
metadata: {name: env}
data: {LOCAL: 127.0.0.1}
---
kind: DaemonSet
spec:
  template:
    spec:
      containers:
        - args: [-localip, $(LOCAL_IP), -conf, /etc/Corefile, -upstreamsvc=up]
          env:
            - {name: UP_SERVICE_HOST, value: 10.0.0.10}
            - {name: LOCAL_IP, valueFrom: {configMapKeyRef: {name: env, key: LOCAL}}}
          volumeMounts: [{name: c, mountPath: /etc/coredns}]
      volumes: [{name: c, configMap: {name: conf}}]
`;
    const { code, out } = await check(file(text, 'm.yaml'));
    assert.equal(code, 0);
    assert.match(out, /bind 127\.0\.0\.1\n {4}forward \. 10\.0\.0\.10:53 \{/);
  });
});

describe('nodens check of Corefiles in the wild', () => {
  const env = { CLUSTER_DOMAIN: 'cluster.local', NODE_DNS_ADDRESS: '169.254.20.10' };
  Object.assign(process.env, env, { KUBE_DNS_SVC_IP: '10.0.0.10' });
  for (const path of globSync(`${ROOT}test/support/corefiles/*.corefile`)) {
    it(`${path.slice(path.lastIndexOf('/') + 1)} is valid, and so is the output of check`, async () => {
      assert.ok(readFileSync(path, 'utf8').length > 0);
      const { code, out, err } = await check(path);
      assert.equal(code, 0, err);
      const again = await check(file(out));
      assert.equal(again.out, out, again.err);
    });
  }
});
