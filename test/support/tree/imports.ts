/** Imports of the tree's TypeScript files, read from their text, with type-only and dynamic ones. */
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

export interface Import {
  readonly file: string;
  readonly line: number;
  /** Path from the root of the tree, or the name of a module. */
  readonly target: string;
  readonly isModule: boolean;
  readonly isTypeOnly: boolean;
  /** Imported names, not their local aliases; undefined for all of the module. */
  readonly names: readonly string[] | undefined;
}

/** Biome formats the tree: an import starts a line, and strings have single quotes. A `$` is text of a template. */
const FORMS: readonly RegExp[] = [
  /^(?:import|export)\s(?<clause>[^;'"]*?)\bfrom\s+'(?<target>[^'$]+)'/gm,
  /^import\s+'(?<target>[^'$]+)'/gm,
  /\bimport\(\s*'(?<target>[^'$]+)'/g,
  /(?:\{(?<clause>[^{}]*)\}\s*=\s*(?:process\.)?)?\bgetBuiltinModule\(\s*'(?<target>[^'$]+)'/g,
];

export function treeFiles(): string[] {
  return [...globSync('{agent,init,test}/**/*.ts'), ...globSync('*.ts')].sort();
}

export function importsOf(file: string, text = readFileSync(file, 'utf8')): Import[] {
  return FORMS.flatMap((form) =>
    Array.from(text.matchAll(form), ({ 0: statement, index, groups }) => {
      const written = groups?.target ?? '';
      const isModule = !written.startsWith('.');
      return {
        file,
        line: text.slice(0, index).split('\n').length,
        target: isModule ? written : posix.join(posix.dirname(file), written),
        isModule,
        isTypeOnly: /^(import|export) type\b/.test(statement),
        names: namesIn(groups?.clause),
      };
    }),
  );
}

/** Names in the braces of an import clause; undefined where the clause has a default or the namespace. */
function namesIn(clause: string | undefined): string[] | undefined {
  const [, list] = /^(?:type\s+)?\{?([^{}*]*)\}?\s*$/.exec(clause?.trim() ?? '*') ?? [];
  if (list === undefined || (clause !== undefined && /^\w+\s*$/.test(clause))) return undefined;
  return list
    .split(',')
    .map((name) => name.replace(/^\s*type\s/, '').replace(/\s+as\s.*|:.*/s, ''))
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** `import(x)` and `require(x)` whose target is computed: the check of imports cannot read them. */
export function hiddenImports(text: string): string[] {
  return Array.from(
    text.matchAll(/\b(?:import|require|getBuiltinModule)\((?!\s*')[^)]*\)?/g),
    ([call]) => call,
  );
}

/** Cycles among files: each is the sorted list of the files that reach one another. */
export function circles(imports: readonly Import[]): string[][] {
  const next = Map.groupBy(
    imports.filter(({ isModule }) => !isModule),
    ({ file }) => file,
  );
  const reached = new Map(Array.from(next.keys(), (file) => [file, reach(file, next)]));
  const found = new Map<string, string[]>();
  for (const [file, others] of reached) {
    const circle = [...others].filter((other) => reached.get(other)?.has(file)).sort();
    if (circle.length > 0) found.set(circle.join(), circle);
  }
  return [...found.values()];
}

function reach(start: string, next: ReadonlyMap<string, readonly Import[]>): Set<string> {
  const reached = new Set<string>();
  const open = [start];
  for (let file = open.pop(); file !== undefined; file = open.pop())
    for (const { target } of next.get(file) ?? [])
      if (!reached.has(target)) {
        reached.add(target);
        open.push(target);
      }
  return reached;
}
