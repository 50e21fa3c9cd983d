/** Strategic merge patches of Kubernetes, as far as the components use them. */

export type Tree = Record<string, unknown>;

/** The field by which Kubernetes tells the elements of a list apart; other lists are replaced as a whole. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
};

/** A strategic merge patch, with the lists that the components change. */
export function mergeInto(target: Tree, change: Tree): void {
  for (const [field, value] of Object.entries(change)) {
    const before = target[field];
    const key = MERGE_KEYS[field];
    if (Array.isArray(value) && Array.isArray(before) && key !== undefined) {
      target[field] = mergedList(before as Tree[], value as Tree[], key);
    } else if (isTree(value) && isTree(before)) mergeInto(before, value);
    else target[field] = value;
  }
}

/** The elements of the patch come first, as kustomize puts them. */
function mergedList(before: readonly Tree[], change: readonly Tree[], key: string): Tree[] {
  const first = change.map((element) => {
    const same = before.find((one) => one[key] === element[key]);
    if (same === undefined) return element;
    mergeInto(same, element);
    return same;
  });
  return [...first, ...before.filter((one) => !first.includes(one))];
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
