/** Corefile grammar: server blocks, snippets and imports, as in CoreDNS. Text in, data out. */
import { posix } from 'node:path';
import { ConfigError, type Place } from '../../base/errors.ts';
import { groupByName, hashOf } from './content.ts';
import { type Environment, References } from './env.ts';
import { type ConfigFiles, isGlob, readImports } from './imports.ts';
import { expandKey } from './keys.ts';
import { type Lexeme, lex } from './lexer.ts';
import { LexemeStream } from './stream.ts';
import type { Block, BlockKey, Corefile, Line, Token } from './types.ts';

/** Where a text comes from, and what its keys, references and imports depend on. */
export interface ParseOptions {
  /** Name of the text in messages. */
  readonly file: string;
  /** Base directory of the text's relative imports; by default its file's directory. */
  readonly directory?: string | undefined;
  /** Position of a line of the text if it differs from `file` and the line number: parts of it may be generated. */
  readonly placeOf?: (line: number) => Place;
  /** Port of keys without one (`-dns.port`). */
  readonly defaultPort: number;
  readonly env: Environment;
  readonly files: ConfigFiles;
}

/** The same as CoreDNS. */
const MAX_SNIPPET_IMPORTS = 10_000;
const MAX_FILE_IMPORTS = 100_000;
/** Deeper than any directive nests, and safe for the call stack. */
const MAX_NESTING = 32;

/**
 * Parses a Corefile and everything it imports. A text without blocks returns `blocks: []`. Throws ConfigError, with
 * position and remedy, for any other text that it does not understand.
 */
export function parseCorefile(text: string, options: ParseOptions): Corefile {
  return new Parser(text, options).parse();
}

class Parser {
  readonly #options: ParseOptions;
  readonly #stream: LexemeStream;
  readonly #snippets = new Map<string, readonly Lexeme[]>();
  readonly #warnings = new Set<string>();
  readonly #references: References;
  #snippetImports = 0;
  #fileImports = 0;

  constructor(text: string, options: ParseOptions) {
    this.#options = options;
    this.#references = new References(options.env);
    const { file, placeOf } = options;
    this.#stream = new LexemeStream(file, this.#lex(text, file, placeOf));
  }

  parse(): Corefile {
    const blocks: Block[] = [];
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next.kind === 'close') {
        this.#skipLastBraces();
        break;
      }
      const words = this.#keyWords();
      if (words.length === 0 && this.#peek() === undefined) break;
      const first = words[0] ?? this.#peek() ?? next;
      const open = this.#opening(words);
      const snippet = snippetName(words);
      if (snippet !== undefined) this.#defineSnippet(snippet, first.place, open);
      else blocks.push(this.#block(words, first.place, open));
    }
    for (const { place, name } of this.#references.missing())
      this.#warn(place, `environment variable ${name} is not set, taken as empty`);
    const file = this.#options.file;
    return { file, blocks, warnings: [...this.#warnings], hash: hashOf(blocks) };
  }

  #lex(text: string, file: string, placeOf?: ParseOptions['placeOf']): Lexeme[] {
    return lex(text, file).map((raw) => {
      const place = placeOf?.(raw.place.line) ?? raw.place;
      return this.#references.fillIn({ ...raw, place });
    });
  }

  #warn(place: Place, text: string): void {
    this.#warnings.add(`${place.file}:${place.line}: ${text}`);
  }

  #peek(): Lexeme | undefined {
    return this.#stream.peek();
  }

  #take(): Lexeme {
    return this.#stream.next() as Lexeme;
  }

  /**
   * Closing braces without an opening one, at the end of the text: CoreDNS reads them as a zone that no client asks
   * for.
   */
  #skipLastBraces(): void {
    const first = this.#peek() as Lexeme;
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next.kind !== 'close') throw strayBrace(first);
      this.#take();
    }
    this.#warn(first.place, 'this } has no opening brace: ignored');
  }

  /** Consumes and returns the brace that opens a block; a brace attached to the last of `words` is split off. */
  #opening(words: Token[]): Lexeme | undefined {
    const next = this.#peek();
    if (next?.kind === 'open') return this.#take();
    const last = words.at(-1);
    const isGlued = last !== undefined && !last.quoted && /.\{$/s.test(last.text);
    if (!isGlued || (next !== undefined && !next.first)) return undefined;
    const text = last.text.slice(0, -1);
    this.#warn(last.place, `"${last.text}" is taken for "${text} {": put a blank before the brace`);
    words[words.length - 1] = { ...last, text };
    return { ...last, text: '{', kind: 'open', first: false };
  }

  /** Words up to the end of the line, or further if a line ends in a comma; does not consume the opening brace. */
  #keyWords(): Token[] {
    const words: Token[] = [];
    let taken = 0;
    let comma: Place | undefined;
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next.kind === 'close') throw strayBrace(next);
      if (next.kind === 'open' || (taken > 0 && next.first && comma === undefined)) break;
      if (this.#tryImport()) continue;
      const { text, place, quoted } = this.#take();
      taken++;
      comma = text.endsWith(',') ? place : undefined;
      const key = comma === undefined ? text : text.slice(0, -1);
      if (key !== '') words.push({ text: key, place, quoted });
    }
    if (comma !== undefined)
      throw new ConfigError(comma, 'another zone must follow the comma: add it or drop the comma');
    return words;
  }

  #block(words: readonly Token[], place: Place, open: Lexeme | undefined): Block {
    if (words.length === 0)
      throw new ConfigError(place, 'a server block needs a zone in front of it, like ". {"');
    const keys = words.flatMap((word) => this.#keys(word));
    const lines = open === undefined ? this.#linesWithoutBraces(words) : this.#body(open, 0);
    return { keys, directives: groupByName(lines), place };
  }

  #keys(word: Token): BlockKey[] {
    const keys = expandKey(word.text, word.place, this.#options.defaultPort);
    for (const { zone } of keys) {
      if (/^\d+\.\d+\.\d+\.\d+\.$/.test(zone))
        this.#warn(word.place, `${zone} is served as a domain name; to listen on an address: bind`);
      if (/[{}]/.test(zone))
        this.#warn(
          word.place,
          `${zone} is served as a domain name; a brace must be a word of its own`,
        );
    }
    return keys;
  }

  /** A file without braces contains one block; a closing brace still ends it, as in CoreDNS. */
  #linesWithoutBraces(words: readonly Token[]): Line[] {
    const source = this.#stream.current;
    const lines: Line[] = [];
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next.kind === 'close') {
        this.#take();
        if (this.#stream.current !== source) throw strayBrace(next);
        const block = words.map(({ text }) => text).join(' ');
        this.#warn(next.place, `this } is taken for the end of "${block}", which no { opens`);
        return lines;
      }
      if (!this.#tryImport()) lines.push(this.#line(0));
    }
    return lines;
  }

  /** Lines between `open`, already consumed, and its closing brace. `depth` 0 is a server block's own. */
  #body(open: Lexeme, depth: number): Line[] {
    if (depth > MAX_NESTING)
      throw new ConfigError(open.place, `braces nest deeper than ${MAX_NESTING}: close some`);
    const source = this.#stream.current;
    const lines: Line[] = [];
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next.kind === 'close') {
        this.#take();
        if (this.#stream.current !== source) throw strayBrace(next);
        if (depth > 0) this.#refuseRest('nothing may follow a closing brace on its line');
        return lines;
      }
      if (!this.#tryImport()) lines.push(this.#line(depth));
    }
    throw new ConfigError(open.place, 'the brace opened here is never closed: add a }');
  }

  #line(depth: number): Line {
    if (this.#peek()?.kind === 'open')
      throw new ConfigError(
        this.#take().place,
        'an opening brace must be at the end of the line it belongs to',
      );
    const name = tokenOf(this.#take());
    const args = this.#restOfLine();
    const next = this.#peek();
    if (next?.kind !== 'open' || next.first) return { name, args, body: undefined };
    return { name, args, body: this.#body(this.#take(), depth + 1) };
  }

  #restOfLine(): Token[] {
    const words: Token[] = [];
    for (let next = this.#peek(); next !== undefined && !next.first; next = this.#peek()) {
      if (next.kind === 'open') break;
      if (next.kind === 'close')
        throw new ConfigError(next.place, 'a closing brace must be on a line of its own');
      words.push(tokenOf(this.#take()));
    }
    return words;
  }

  #refuseRest(reason: string): void {
    const next = this.#peek();
    if (next !== undefined && !next.first) throw new ConfigError(next.place, reason);
  }

  #defineSnippet(name: string, place: Place, open: Lexeme | undefined): void {
    if (open === undefined)
      throw new ConfigError(place, `snippet (${name}) needs a body in braces`);
    if (this.#snippets.has(name))
      throw new ConfigError(place, `snippet (${name}) is defined twice: rename one`);
    const source = this.#stream.current;
    const body: Lexeme[] = [];
    let depth = 1;
    for (let next = this.#stream.next(); next !== undefined; next = this.#stream.next()) {
      if (this.#stream.current !== source) break;
      if (next.kind === 'open') depth++;
      else if (next.kind === 'close') depth--;
      if (depth === 0) {
        this.#snippets.set(name, body);
        return;
      }
      body.push(next);
    }
    throw new ConfigError(open.place, 'the brace opened here is never closed: add a }');
  }

  /** If the next line is an `import`, replaces it by the imported words. */
  #tryImport(): boolean {
    const next = this.#peek();
    if (next?.kind !== 'word' || !next.first || next.text !== 'import') return false;
    const { place } = this.#take();
    const args = this.#restOfLine();
    this.#refuseRest('import takes no braces');
    const target = args[0]?.text ?? '';
    if (args.length !== 1 || target === '')
      throw new ConfigError(place, 'import takes one argument: a snippet, a file or a pattern');
    const snippet = this.#snippets.get(target);
    if (snippet !== undefined) this.#importSnippet(target, snippet, place);
    else this.#importFiles(target, place);
    return true;
  }

  #importSnippet(name: string, lexemes: readonly Lexeme[], place: Place): void {
    if (++this.#snippetImports > MAX_SNIPPET_IMPORTS)
      throw new ConfigError(place, `snippets are imported over ${MAX_SNIPPET_IMPORTS} times`);
    this.#references.provideFor(place);
    this.#stream.splice([{ origin: `(${name})`, lexemes }], place);
  }

  #importFiles(pattern: string, place: Place): void {
    const { file, files, directory } = this.#options;
    const here = place.file === file ? directory : undefined;
    const found = readImports(pattern, place, here ?? posix.dirname(place.file), files);
    this.#fileImports += found.length;
    if (this.#fileImports > MAX_FILE_IMPORTS)
      throw new ConfigError(place, `files are imported over ${MAX_FILE_IMPORTS} times`);
    if (found.length === 0 && isGlob(pattern))
      this.#warn(place, `no file matches the import ${pattern}`);
    const sources = found.map(({ path, text }) => ({
      origin: path,
      lexemes: this.#lex(text, path),
    }));
    this.#stream.splice(sources, place);
  }
}

function tokenOf({ text, place, quoted }: Lexeme): Token {
  return { text, place, quoted };
}

function strayBrace(lexeme: Lexeme): ConfigError {
  return new ConfigError(lexeme.place, 'this } has no opening brace: remove it');
}

/** `name` if the only word is `(name)`. */
function snippetName(words: readonly Token[]): string | undefined {
  return words.length === 1 ? /^\((.+)\)$/s.exec((words[0] as Token).text)?.[1] : undefined;
}
