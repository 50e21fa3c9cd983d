/** A YAML file with the lines of its values. */
import { isScalar, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { UsageError } from '../../base/errors.ts';

/** Keys and indexes from the top of a resource. */
export type Path = readonly (string | number)[];

/** One resource of a file, with the lines of the file. */
export interface Found<Resource> {
  readonly resource: Resource;
  /** Line of the value at `path`, or of the nearest value above it. */
  lineOf(path: Path): number;
  /** Line on which the text at `path` begins, if each line of the text is a line of the file (`key: |`). */
  textLineOf(path: Path): number | undefined;
}

interface List {
  readonly items?: unknown;
}

/** Every resource of `text`, those in lists too. Throws UsageError, with file and line, for text that is not YAML. */
export function readYaml<Resource>(text: string, file: string): Found<Resource>[] {
  const counter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: counter });
  const found: Found<Resource>[] = [];
  for (const document of 'empty' in documents ? [] : documents) {
    const [fault] = document.errors;
    if (fault !== undefined)
      throw new UsageError(`${file}:${fault.linePos?.[0].line ?? 1}: not YAML: ${fault.message}`);
    const nodeAt = (path: Path): Node | undefined => document.getIn(path, true) as Node | undefined;
    const lineOf = (path: Path): number => {
      for (let length = path.length; length >= 0; length--) {
        const start = nodeAt(path.slice(0, length))?.range?.[0];
        if (start !== undefined) return counter.linePos(start).line;
      }
      return 1;
    };
    const textLineOf = (path: Path): number | undefined => {
      const node = nodeAt(path);
      return isScalar(node) && node.type === 'BLOCK_LITERAL' ? lineOf(path) + 1 : undefined;
    };
    const visit = (resource: unknown, above: Path): void => {
      if (typeof resource !== 'object' || resource === null) return;
      const { items } = resource as List;
      if (Array.isArray(items)) {
        for (const [at, item] of items.entries()) visit(item, [...above, 'items', at]);
        return;
      }
      found.push({
        resource: resource as Resource,
        lineOf: (path) => lineOf([...above, ...path]),
        textLineOf: (path) => textLineOf([...above, ...path]),
      });
    };
    visit(document.toJS({ maxAliasCount: 100 }), []);
  }
  return found;
}
