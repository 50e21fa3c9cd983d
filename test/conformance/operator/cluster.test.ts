/** `nodens status -all` and `kubectl nodens`, as built, against an API server that the test scripts. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ScriptedApi } from '../../support/kubernetes/scripted-api.ts';
import type { ScriptedObject } from '../../support/kubernetes/scripted-objects.ts';
import { eventually } from '../../support/netns/netns.ts';
import { type Outcome, runNodens } from '../../support/operator.ts';

const PODS = '/api/v1/namespaces/kube-system/pods';
const SETS = '/apis/apps/v1/namespaces/kube-system/daemonsets';
const PLUGIN = fileURLToPath(new URL('../../../dist/agent/kubectl-nodens.js', import.meta.url));
const TOKEN = 'a-token';

const folder = mkdtempSync(join(tmpdir(), 'nodens-cluster-'));
const kubeconfig = join(folder, 'kubeconfig');
const calls = join(folder, 'kubectl-calls');
const api = new ScriptedApi({ token: TOKEN, pageObjects: 2 });
let server = '';

function pod(node: string, isReady = true): ScriptedObject {
  return {
    metadata: { name: `nodens-${node}`, namespace: 'kube-system' },
    spec: { nodeName: node, containers: [{ image: 'nodens:0.2.0' }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False', message: 'agent' }],
    },
  };
}

function writeKubeconfig(token: string): void {
  const text = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: { token } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(text));
}

before(async () => {
  server = await api.listen();
  for (const node of ['a', 'b', 'c']) api.put(PODS, pod(node));
  api.put(SETS, {
    metadata: { name: 'nodens', namespace: 'kube-system' },
    status: { desiredNumberScheduled: 3, updatedNumberScheduled: 3 },
  });
  // A kubectl that reads the scripted server, and notes what it is asked to execute.
  const kubectl = join(folder, 'kubectl');
  writeFileSync(
    kubectl,
    `#!${process.execPath}
const argv = process.argv.slice(2);
require('node:fs').appendFileSync(${JSON.stringify(calls)}, JSON.stringify(argv) + '\\n');
if (argv.includes('exec')) process.exit(7);
const headers = { authorization: 'Bearer ${TOKEN}' };
fetch(${JSON.stringify(server)} + argv[argv.indexOf('--raw') + 1], { headers })
  .then((response) => response.text()).then((text) => process.stdout.write(text));
`,
  );
  chmodSync(kubectl, 0o755);
});
after(async () => {
  await api.close();
  rmSync(folder, { recursive: true });
});

const all = (...args: readonly string[]): Promise<Outcome> => {
  writeKubeconfig(TOKEN);
  return runNodens(['status', '-all', ...args], { KUBECONFIG: kubeconfig });
};

function plugin(...args: readonly string[]): Promise<Outcome> {
  const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
  return new Promise((resolve) => {
    execFile(process.execPath, [PLUGIN, ...args], { env, timeout: 60_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
  });
}

describe('status -all', () => {
  it('is 0 when every node is ready, and reads lists only', async () => {
    api.requests.length = 0;
    const { code, out, err } = await all();
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assert.match(out, /^3 of 3 nodes are ready; DaemonSet nodens: 3 wanted, 3 updated\n/);
    const paths = [...new Set(api.requests.map(({ path }) => path))];
    assert.deepEqual(paths, [PODS, SETS]);
    assert.equal(api.requests[0]?.query.labelSelector, 'k8s-app=nodens');
  });

  it('is 1 while a node is not, and shows it first; -wait waits for it', async () => {
    api.put(PODS, pod('c', false));
    const { code, out } = await all();
    assert.equal(code, 1);
    assert.match(out, /^2 of 3 nodes .*\n\nNODE .*\nc +nodens-c +not ready: agent /);
    const json = JSON.parse((await all('-json')).out);
    assert.deepEqual([json.isReady, json.pods[0].node], [false, 'c']);
    api.requests.length = 0;
    const waiting = all('-wait', '-wait-duration', '50s');
    await eventually('it has looked', () => api.requests.length >= 2);
    api.put(PODS, pod('c'));
    assert.equal((await waiting).code, 0);
  });

  it('is what -wait needs', async () => {
    const { code, err } = await runNodens(['status', '-wait'], {});
    assert.deepEqual([code, err.split('\n')[0]], [2, 'nodens: flag -wait needs -all']);
  });

  it('is 3 where the API server refuses, and 2 for a kubeconfig that it cannot use', async () => {
    writeKubeconfig('another');
    const env = { KUBECONFIG: kubeconfig };
    const refused = await runNodens(['status', '-all'], env);
    assert.equal(refused.code, 3);
    assert.match(refused.err, /API server cannot be read: 401: Unauthorized/);
    writeFileSync(kubeconfig, '{}');
    const wrong = await runNodens(['status', '-all'], env);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /no current-context.*kubectl nodens status reaches/);
    const pod = {
      KUBECONFIG: '',
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: '1',
    };
    const withoutToken = await runNodens(['status', '-all'], pod);
    assert.equal(withoutToken.code, 2);
    assert.match(withoutToken.err, /mount the ServiceAccount token.*with -kubeconfig FILE/);
  });
});

describe('kubectl nodens', () => {
  it('status reads the cluster through kubectl', async () => {
    const { code, out, err } = await plugin('status', '-context', 'lab');
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assert.match(out, /^3 of 3 nodes are ready/);
    assert.match(readFileSync(calls, 'utf8'), /^\["--context=lab","get","--raw","/);
  });

  it('runs any other command in the pod of a node, with its exit code', async () => {
    writeFileSync(calls, '');
    assert.equal((await plugin('query', 'web.test', '-trace', '-node', 'b')).code, 7);
    const lines = readFileSync(calls, 'utf8').trim().split('\n');
    const expected = 'exec -n kube-system nodens-b -c agent -- nodens query web.test -trace';
    assert.deepEqual(JSON.parse(lines.at(-1) ?? ''), expected.split(' '));
  });

  it('leaves -namespace to explain', async () => {
    writeFileSync(calls, '');
    await plugin('explain', 'web.test', '-namespace', 'shop', '-node', 'b', '-n', 'kube-system');
    const lines = readFileSync(calls, 'utf8').trim().split('\n');
    const expected =
      'exec -n kube-system nodens-b -c agent -- nodens explain web.test -namespace shop';
    assert.deepEqual(JSON.parse(lines.at(-1) ?? ''), expected.split(' '));
  });

  it('refuses what it cannot do', async () => {
    for (const [args, expected] of [
      [['top'], /name the node: -node NODE/],
      [['top', '-node', 'z'], /no pod with k8s-app=nodens in kube-system is on node z/],
      [['statsu'], /did you mean "status"/],
    ] as const) {
      const { code, err } = await plugin(...args);
      assert.equal(code, 2);
      assert.match(err, expected);
    }
  });
});
