/** The jq programs of the page on migration do what it says, one after the other. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { hasProgram } from '../../support/packages.ts';
import { build, podOf, type Resource } from '../manifests/kustomize.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const PAGE = readFileSync(`${ROOT}docs/migrate-from-node-local-dns.md`, 'utf8');
const [LEAVE = '', COPY = '', ALL = ''] = Array.from(
  PAGE.matchAll(/get daemonset node-local-dns -o json \| jq '([^']*)'/g),
  ([, program]) => program,
);

interface Term {
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string }[];
  readonly matchFields?: readonly unknown[];
}

interface Labelled {
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly updateStrategy: unknown;
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: { readonly affinity?: unknown };
    };
  };
}

function jq(program: string, input: object): Resource & Labelled {
  const { status, stdout, stderr } = spawnSync('jq', [program], {
    ...{ input: JSON.stringify(input), encoding: 'utf8' },
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Resource & Labelled;
}

const isMissing = !hasProgram('jq') && 'jq is not installed';

function daemonSet(affinity?: object): object {
  const found = build(`${ROOT}manifests/overlays/drop-in`).find(({ kind }) => kind === 'DaemonSet');
  const copy = structuredClone(found) as Resource;
  if (affinity !== undefined) Object.assign(podOf(copy) as object, { affinity });
  return { ...copy, status: { numberReady: 3 } };
}

const POOL = { key: 'pool', operator: 'In', values: ['a'] };
const PREFERRED = [{ weight: 1, preference: { matchExpressions: [POOL] } }];
const WITH_TERMS = {
  nodeAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: PREFERRED,
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [
        { matchExpressions: [POOL] },
        { matchFields: [{ key: 'metadata.name' }] },
      ],
    },
  },
};

function termsOf(object: Labelled): readonly Term[] {
  const { affinity } = object.spec.template.spec as {
    affinity: typeof WITH_TERMS;
  };
  return affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms;
}

const trialOperators = (object: Labelled): (string | undefined)[] =>
  termsOf(object).map(
    ({ matchExpressions = [] }) =>
      matchExpressions.find(({ key }) => key === 'nodens-trial')?.operator,
  );

describe('the steps of the migration', { skip: isMissing }, () => {
  for (const [name, affinity, count] of [
    ['without an affinity', undefined, 1],
    ["with the user's affinity", WITH_TERMS, 2],
  ] as const) {
    const leave = (): Resource & Labelled => jq(LEAVE, daemonSet(affinity));

    it(`${name}: node-local-dns leaves labelled nodes, and only those`, () => {
      const left = leave();
      assert.deepEqual(trialOperators(left), Array(count).fill('DoesNotExist'));
      assert.deepEqual(left.spec.updateStrategy, { type: 'OnDelete' });
      if (affinity === undefined) return;
      assert.deepEqual(termsOf(left)[0]?.matchExpressions?.[0], POOL);
      assert.ok(JSON.stringify(left).includes(JSON.stringify(PREFERRED)));
    });

    it(`${name}: the copy runs nodens there, under the labels that Services and monitors select`, () => {
      const copy = jq(COPY, leave());
      assert.deepEqual(trialOperators(copy), Array(count).fill('Exists'));
      assert.equal(copy.metadata.name, 'nodens-trial');
      assert.equal(copy.status, undefined);
      const { selector, template } = copy.spec;
      assert.deepEqual(selector.matchLabels, template.metadata.labels);
      const labels = { 'k8s-app': 'node-local-dns', 'nodens-trial': 'true' };
      assert.deepEqual(template.metadata.labels, labels);
      assert.equal(podOf(copy)?.containers[0]?.image, 'REGISTRY/nodens:0.2.0');
    });

    it(`${name}: at the end nothing but the image, the memory and the strategy has changed`, () => {
      const end = jq(ALL, leave());
      const start = daemonSet(affinity) as typeof end;
      assert.deepEqual(podOf(end)?.containers[0]?.resources.requests?.memory, '128Mi');
      const own = end.spec.template.spec.affinity;
      if (affinity === undefined) assert.deepEqual(own, { nodeAffinity: {} });
      else {
        assert.deepEqual(termsOf(end)[0], termsOf(start)[0]);
        assert.ok(JSON.stringify(own).includes(JSON.stringify(PREFERRED)));
      }
    });
  }

  it('are three', () => {
    for (const program of [LEAVE, COPY, ALL]) assert.ok(program.includes('nodens-trial'));
  });
});
