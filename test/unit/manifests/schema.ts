/** Kubernetes' own schemas applied to a resource, strictly: what the API server would drop silently counts as wrong. */
import { validate as validateDaemonSet } from 'kubernetes-models/_schemas/IoK8sApiAppsV1DaemonSet';
import { validate as validateConfigMap } from 'kubernetes-models/_schemas/IoK8sApiCoreV1ConfigMap';
import { validate as validateService } from 'kubernetes-models/_schemas/IoK8sApiCoreV1Service';
import { validate as validateServiceAccount } from 'kubernetes-models/_schemas/IoK8sApiCoreV1ServiceAccount';
import { validate as validateClusterRole } from 'kubernetes-models/_schemas/IoK8sApiRbacV1ClusterRole';
import { validate as validateClusterRoleBinding } from 'kubernetes-models/_schemas/IoK8sApiRbacV1ClusterRoleBinding';
import type { Resource } from './kustomize.ts';

/** A validator compiled by ajv: leaves its findings on the function. */
interface Validator {
  (data: unknown): boolean;
  errors?: readonly { instancePath: string; keyword: string; params: object }[] | null;
}

const VALIDATORS: Readonly<Record<string, Validator>> = {
  'apps/v1 DaemonSet': validateDaemonSet,
  'rbac.authorization.k8s.io/v1 ClusterRole': validateClusterRole,
  'rbac.authorization.k8s.io/v1 ClusterRoleBinding': validateClusterRoleBinding,
  'v1 ConfigMap': validateConfigMap,
  'v1 Service': validateService,
  'v1 ServiceAccount': validateServiceAccount,
};

/** One line for each thing wrong with `resource`: wrong types, missing fields, fields Kubernetes does not know. */
export function schemaErrors(resource: Resource): string[] {
  const kind = `${resource.apiVersion} ${resource.kind}`;
  // No package has its schema; cilium.test.ts looks at each of its fields.
  if (kind === 'cilium.io/v2 CiliumLocalRedirectPolicy') return [];
  const validate = VALIDATORS[kind];
  if (validate === undefined) return [`no schema for ${kind}`];
  const read = new Set<string>();
  const valid = validate(watched(resource, '', read));
  if (!valid)
    return (validate.errors ?? []).map(
      (e) => `${e.instancePath}: ${e.keyword} ${JSON.stringify(e.params)}`,
    );
  return fieldsOf(resource, '')
    .filter((path) => !read.has(path))
    .map((p) => `${p} is unknown`);
}

/**
 * `value` as the validator sees it, with the path of everything it reads noted. The schemas allow
 * additional fields, but compiled code asks for the fields it knows by name: a field that it never
 * asks for is in no schema.
 */
function watched(value: object, path: string, read: Set<string>): object {
  return new Proxy(value, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (typeof key === 'symbol') return member;
      read.add(`${path}/${key}`);
      const isTree = typeof member === 'object' && member !== null;
      return isTree ? watched(member, `${path}/${key}`, read) : member;
    },
  });
}

function fieldsOf(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [
    `${path}/${key}`,
    ...fieldsOf(member, `${path}/${key}`),
  ]);
}
