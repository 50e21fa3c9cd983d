/**
 * `helm template` for the chart of nodens, for machines without helm. It knows the part of Go templates that the chart
 * uses and throws on every other, so that the chart cannot quietly mean something else here than in helm.
 */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { FUNCTIONS, isTrue, type Value } from './functions.ts';
import { type Node, type Pipeline, parseTemplate, type Term } from './parse.ts';

/** Variables of a block, and those around it. */
class Scope {
  readonly #own = new Map<string, Value>();
  readonly #outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  declare(name: string, value: Value): void {
    this.#own.set(name, value);
  }

  assign(name: string, value: Value): void {
    const scope = this.#holding(name);
    scope.#own.set(name, value);
  }

  get(name: string): Value {
    return this.#holding(name).#own.get(name);
  }

  #holding(name: string): Scope {
    if (this.#own.has(name)) return this;
    if (this.#outer === undefined) throw new Error(`${name} is not declared`);
    return this.#outer.#holding(name);
  }
}

class Renderer {
  readonly #defines: ReadonlyMap<string, readonly Node[]>;

  constructor(defines: ReadonlyMap<string, readonly Node[]>) {
    this.#defines = defines;
  }

  /** Dot and `$` are `dot`. */
  run(nodes: readonly Node[], dot: Value): string {
    const scope = new Scope();
    scope.declare('$', dot);
    return this.#nodes(nodes, dot, scope);
  }

  #nodes(nodes: readonly Node[], dot: Value, scope: Scope): string {
    return nodes.map((node) => this.#node(node, dot, scope)).join('');
  }

  #node(node: Node, dot: Value, scope: Scope): string {
    if (node.kind === 'text') return node.text;
    const value = this.#pipeline(node.pipeline, dot, scope);
    if (node.kind === 'output') return printed(value);
    if (node.kind === 'assign') {
      if (node.isNew) scope.declare(node.name, value);
      else scope.assign(node.name, value);
      return '';
    }
    const { kind, body, otherwise, variables } = node;
    if (!isTrue(value)) return this.#nodes(otherwise, dot, new Scope(scope));
    if (kind === 'if') return this.#nodes(body, dot, new Scope(scope));
    const rounds: readonly (readonly [Value, Value])[] =
      kind === 'with' ? [['', value]] : entriesOf(value);
    return rounds
      .map(([key, item]) => {
        const inner = new Scope(scope);
        const [first, second] = variables;
        if (second !== undefined) inner.declare(second, item);
        if (first !== undefined) inner.declare(first, second === undefined ? item : key);
        return this.#nodes(body, item, inner);
      })
      .join('');
  }

  #pipeline(pipeline: Pipeline, dot: Value, scope: Scope): Value {
    let result: Value;
    for (const [at, command] of pipeline.entries()) {
      const [head, ...rest] = command as [Term, ...Term[]];
      const args = rest.map((term) => this.#term(term, dot, scope));
      if (at > 0) args.push(result);
      result = this.#call(head, args, dot, scope);
    }
    return result;
  }

  #call(head: Term, args: readonly Value[], dot: Value, scope: Scope): Value {
    if (head.kind === 'function') {
      if (head.name === 'include') return this.#include(String(args[0]), args[1]);
      const fn = FUNCTIONS[head.name];
      if (fn === undefined) throw new Error(`the function ${head.name} is not known here`);
      return fn(...args);
    }
    const value = this.#term(head, dot, scope);
    if (typeof value === 'function') return (value as (...a: readonly Value[]) => Value)(...args);
    if (args.length > 0) throw new Error('a value takes no arguments');
    return value;
  }

  #include(name: string, dot: Value): string {
    const nodes = this.#defines.get(name);
    if (nodes === undefined) throw new Error(`no template ${name}`);
    return this.run(nodes, dot);
  }

  #term(term: Term, dot: Value, scope: Scope): Value {
    if (term.kind === 'literal') return term.value;
    if (term.kind === 'function') return this.#call(term, [], dot, scope);
    const { root, fields } = term;
    let value: Value;
    if (typeof root !== 'string') value = this.#pipeline(root, dot, scope);
    else value = root === '.' ? dot : scope.get(root);
    for (const field of fields) {
      if (value === undefined || value === null) throw new Error(`nil has no ${field}`);
      value = (value as Record<string, Value>)[field];
    }
    return value;
  }
}

function printed(value: Value): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'object') throw new Error('a map or list is printed without toYaml');
  return String(value as string | number | boolean);
}

/** Maps by their sorted keys, as Go does. */
function entriesOf(value: Value): readonly (readonly [Value, Value])[] {
  if (Array.isArray(value)) return [...value.entries()];
  return Object.entries(value as object).sort(([a], [b]) => (a < b ? -1 : 1));
}

type Values = Readonly<Record<string, unknown>>;

/** `changes` over `values`, map by map, as `helm -f` does. */
function merged(values: Values, changes: Values): Values {
  const isMap = (value: unknown): value is Values =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const result: Record<string, unknown> = { ...values };
  for (const [key, value] of Object.entries(changes)) {
    const own = result[key];
    result[key] = isMap(own) && isMap(value) ? merged(own, value) : value;
  }
  return result;
}

/** Objects of the chart in `folder`, and its notes. Throws Error where a template fails or is not understood. */
export function renderChart(
  folder: string,
  changes: Values,
  { namespace = 'kube-system', kubeVersion = 'v1.31.0' } = {},
): { readonly objects: readonly unknown[]; readonly notes: string } {
  const read = (path: string): string => readFileSync(join(folder, path), 'utf8');
  const files = globSync(['templates/*.yaml', 'templates/*.tpl', 'templates/NOTES.txt'], {
    cwd: folder,
  }).sort();
  const templates = files.map((file) => ({ file, ...parseTemplate(read(file), file) }));
  const renderer = new Renderer(new Map(templates.flatMap(({ defines }) => [...defines])));
  const chart = parse(read('Chart.yaml')) as { appVersion: string };
  const values = merged(parse(read('values.yaml')) as Values, changes);
  const texts = templates.map(({ file, nodes }) => {
    const dot = {
      Values: structuredClone(values),
      Chart: { AppVersion: chart.appVersion },
      Release: { Namespace: namespace },
      Capabilities: { KubeVersion: { Version: kubeVersion } },
      Files: { Get: (path: string) => read(path) },
    };
    return [basename(file), renderer.run(nodes, dot)] as const;
  });
  const objects = texts
    .filter(([file]) => file.endsWith('.yaml'))
    .flatMap(([file, text]) =>
      parseAllDocuments(text).flatMap((document) => {
        if (document.errors[0] !== undefined) throw new Error(`${file}: ${document.errors[0]}`);
        return (document.toJS() as unknown) ?? [];
      }),
    );
  return { objects, notes: texts.find(([file]) => file === 'NOTES.txt')?.[1] ?? '' };
}
