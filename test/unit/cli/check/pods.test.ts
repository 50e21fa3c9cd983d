/** `nodens check` of a manifest: places in the manifest itself, and what its pods need. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { stringify } from 'yaml';
import { check } from '../../../support/cli/check.ts';
import { renderChart } from '../../../support/helm/render.ts';
import { build } from '../../manifests/kustomize.ts';

const MANIFESTS = new URL('../../../../manifests/', import.meta.url).pathname;
const CHART = new URL('../../../../deploy/helm/nodens', import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${MANIFESTS}${path}`, 'utf8');
const dir = mkdtempSync(join(tmpdir(), 'nodens-check-pods-'));
after(() => rmSync(dir, { recursive: true }));
let files = 0;

function file(text: string): string {
  const path = join(dir, `${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

const lineWith = (text: string, part: string): number =>
  text.split('\n').findIndex((line) => line.includes(part)) + 1;

describe('places in a manifest', () => {
  it('are lines of the manifest, beside those of the key', async () => {
    const text = read('overlays/drop-in/node-local-dns.yaml').replace('errors', 'erors');
    const path = file(text);
    const { code, err } = await check(path);
    assert.equal(code, 1);
    const line = lineWith(text, 'erors');
    const place = `${path}:${line}: unknown directive "erors"`;
    assert.ok(err.includes(`error: ${place}`), err);
    assert.match(err, /\(ConfigMap node-local-dns, key Corefile, line 2\)/);
  });

  it('are those of the key where the lines of its text are no lines of the file', async () => {
    const data = { Corefile: '.:53 {\nbind 127.0.0.1\nnope\n}\n' };
    const path = file(JSON.stringify({ kind: 'ConfigMap', metadata: { name: 'x' }, data }));
    const { err } = await check(path);
    assert.match(err, /\.yaml:1: unknown directive "nope".*\(ConfigMap x, key Corefile, line 3\)/);
  });

  it('are found in lists, and for warnings', async () => {
    const path = file(`kind: List
items:
- kind: ConfigMap
  metadata:
    name: x
  data:
    Corefile: |
      .:53 {
        bind 127.0.0.1
        errors
        cache 30s
        forward . 192.0.2.1
      }
`);
    const { code, warnings } = await check(path);
    assert.equal(code, 0);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? '',
      /\.yaml:11: cache 30s: .*\(ConfigMap x, key Corefile, line 4\)/,
    );
  });
});

/** What is changed in which manifest; the part of the line that is named; the warning. */
type Case = readonly [
  name: string,
  manifest: string,
  change: (text: string) => string,
  part: string,
  message: RegExp,
];

const BASE = 'base/daemonset.yaml';
const DROP_IN = 'overlays/drop-in/node-local-dns.yaml';

const CASES: readonly Case[] = [
  [
    "the agent's memory limit",
    BASE,
    (text) => text.replace('memory: 128Mi', 'memory: 64Mi'),
    'memory: 64Mi',
    /^agent: a memory limit of 64Mi is less than the 96Mi that the agent needs/,
  ],
  [
    "init's memory limit",
    BASE,
    (text) =>
      text.replace('limits:\n              memory: 96Mi', 'limits:\n              memory: 30M'),
    'memory: 30M',
    /^init: a memory limit of 30M is less than the 32Mi/,
  ],
  [
    "the drop-in's memory limit",
    DROP_IN,
    (text) => text.replace('requests:', 'limits:'),
    'memory: 5Mi',
    /^node-cache: .* less than the 128Mi that init and agent together need/,
  ],
  [
    'NET_ADMIN of init',
    BASE,
    (text) => text.replace('add: [NET_ADMIN, NET_RAW]', 'add: [NET_RAW]'),
    'add: [NET_RAW]',
    /^init: the capability NET_ADMIN is missing/,
  ],
  [
    'NET_BIND_SERVICE of the agent, which drops all',
    BASE,
    (text) => text.replace('add: [NET_BIND_SERVICE]', 'add: []'),
    'add: []',
    /^agent: the capability NET_BIND_SERVICE is missing: the agent cannot bind port 53/,
  ],
  [
    'NET_ADMIN of the drop-in',
    DROP_IN,
    (text) => text.replace('add: [NET_ADMIN]', 'add: [NET_RAW]'),
    'add: [NET_RAW]',
    /^node-cache: the capability NET_ADMIN is missing/,
  ],
  [
    'host ports with surge',
    DROP_IN,
    (text) => text.replace('maxUnavailable: 10%', 'maxSurge: 1'),
    '- containerPort: 53',
    /^node-cache: with hostNetwork these ports are host ports/,
  ],
  [
    'no hostNetwork',
    BASE,
    (text) => text.replace('hostNetwork: true', 'hostNetwork: false'),
    'hostNetwork: false',
    /^hostNetwork is not true/,
  ],
  [
    'dnsPolicy',
    BASE,
    (text) => text.replace('dnsPolicy: Default', 'dnsPolicy: ClusterFirstWithHostNet'),
    'dnsPolicy: Cl',
    /^dnsPolicy ClusterFirstWithHostNet: /,
  ],
];

describe('the pods of a manifest', () => {
  for (const [name, manifest, change, part, message] of CASES)
    it(`warns: ${name}`, async () => {
      const text = change(read(manifest));
      assert.notEqual(text, read(manifest));
      const { code, out } = await check('-json', file(text));
      assert.equal(code, 0);
      const { findings } = JSON.parse(out) as {
        findings: readonly { line: number; message: string }[];
      };
      const own = findings.filter((finding) => message.test(finding.message));
      assert.deepEqual(
        own.map(({ line }) => line),
        [lineWith(text, part)],
        out,
      );
    });

  it('no warning about our own manifests, for all ways to run nodens', async () => {
    for (const path of [BASE, DROP_IN, 'overlays/cleanup/daemonset.yaml']) {
      const { code, warnings } = await check(`${MANIFESTS}${path}`);
      assert.equal(code, 0, path);
      assert.deepEqual(warnings, [], path);
    }
  });

  for (const mode of ['cilium', 'cleanup', 'drop-in', 'iptables-nftables', 'ipvs'])
    it(`no warning about ${mode}, as kustomize and as Helm print it`, async () => {
      const built = build(`${MANIFESTS}overlays/${mode}`);
      const { objects } = renderChart(CHART, { mode });
      for (const resources of [built, objects]) {
        const { code, err } = await check(
          file(resources.map((one) => stringify(one)).join('---\n')),
        );
        assert.deepEqual({ code, err }, { code: 0, err: '' });
      }
    });

  it('a file from a Secret is not checked, and one that nothing mounts is an error', async () => {
    const change = (text: string): string =>
      text
        .replaceAll(
          'forward . __PILLAR__UPSTREAM__SERVERS__',
          'forward . tls://192.0.2.1 {\n            tls /etc/ca/ca.pem\n        }',
        )
        .replace(
          'volumes:\n',
          'volumes:\n        - name: ca\n          secret: {secretName: ca}\n',
        );
    const text = change(read(DROP_IN));
    const none = await check(file(text));
    assert.equal(none.code, 1);
    assert.match(none.err, /the manifest mounts no \/etc\/ca\/ca\.pem/);
    const mount = 'volumeMounts:\n            - name: ca\n              mountPath: /etc/ca\n';
    const { code, warnings } = await check(file(text.replace('volumeMounts:\n', mount)));
    assert.equal(code, 0);
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(
      warnings[0] ?? '',
      /:\d+: \/etc\/ca\/ca\.pem is mounted from what .*: not checked/,
    );
  });

  it('warns of a domain that was not filled in where the addresses were', async () => {
    const text = read(DROP_IN)
      .replaceAll('__PILLAR__LOCAL__DNS__', '169.254.20.10')
      .replaceAll('__PILLAR__DNS__SERVER__', '10.96.0.10');
    const { warnings } = await check(file(text));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /__PILLAR__DNS__DOMAIN__ was not filled in/);
  });

  it('no warning about pods of other programs, and privileged ones have every capability', async () => {
    const pod = (container: string): string =>
      `kind: Pod\nspec:\n  hostNetwork: true\n  containers:\n  - ${container}\n`;
    const map =
      'kind: ConfigMap\nmetadata: {name: x}\ndata: {Corefile: ".:53 {\\nbind 127.0.0.1\\nerrors\\nwhoami\\n}\\n"}\n';
    for (const container of [
      '{name: web, args: [serve], resources: {limits: {memory: 1Mi}}}',
      '{name: init, args: [init], securityContext: {privileged: true}}',
    ]) {
      const { warnings } = await check(file(`${map}---\n${pod(container)}`));
      assert.deepEqual(warnings, [], container);
    }
  });
});
