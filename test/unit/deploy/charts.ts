/** The chart of the tree, rendered, and what it rendered. */
import assert from 'node:assert/strict';
import { renderChart } from '../../support/helm/render.ts';
import { type PodSpec, podOf, type Resource } from '../manifests/kustomize.ts';

export const ROOT = new URL('../../../', import.meta.url).pathname;
export const CHART = `${ROOT}deploy/helm/nodens`;
export const MODES = ['cilium', 'cleanup', 'drop-in', 'iptables-nftables', 'ipvs'];

export type Values = Readonly<Record<string, unknown>>;

export const render = (values: Values): Resource[] =>
  renderChart(CHART, values).objects as unknown as Resource[];

export const idOf = ({ kind, metadata }: Resource): string => `${kind}/${metadata.name}`;

/** The first of the kind if no name is given. */
export const find = (resources: readonly Resource[], kind: string, name?: string): Resource =>
  resources.find((one) => one.kind === kind && one.metadata.name === (name ?? one.metadata.name)) ??
  assert.fail(`no ${kind} ${name ?? ''}`);

export const podIn = (resources: readonly Resource[]): PodSpec =>
  podOf(find(resources, 'DaemonSet')) as PodSpec;
