/** `template CLASS TYPE [ZONES…] { … }`: answers made from the question. May be repeated; tried in order. */
import { ConfigError, messageOf } from '../../base/errors.ts';
import type { Pattern } from '../../base/text/pattern.ts';
import {
  argsBetween,
  badValue,
  intArg,
  minArgs,
  oneArg,
  readOptions,
  viewOf,
  zonesOf,
} from '../../config/corefile/args.ts';
import { patternArg } from '../../config/corefile/pattern.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { classNumber, RCODE, rcodeNumber, typeNumber } from '../../dns/iana.ts';
import { nameFromText } from '../../dns/name.ts';
import { recordFromText } from '../../dns/text/record.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { checkType } from './check-type.ts';
import { compile } from './compile.ts';
import { FIELDS, PRIVATE_FIELDS } from './data.ts';
import { type RecordTemplate, type Section, type Template, templateHandler } from './handler.ts';

const ROOT = Uint8Array.of(0);

/**
 * Throws ConfigError for a template that cannot be parsed, a record that cannot be written, and CoreDNS's options `var`
 * and `expr`, which are not supported.
 */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const templates = directive.uses.map((line) => readTemplate(line, block));
  return { name: 'template', handle: templateHandler(templates, viewOf(block), services) };
}

function readTemplate(line: Line, block: Block): Template {
  const [qclass, type, ...zones] = minArgs(line, 2) as readonly [Token, Token, ...Token[]];
  const template = {
    class: numberArg(qclass, classNumber, 'a class: IN, CH or ANY'),
    type: numberArg(type, typeNumber, 'a record type, or ANY'),
    zones: zonesOf(zones, block).map((text) => ({ text, name: nameFromText(text) })),
    patterns: [] as Pattern[],
    records: [] as RecordTemplate[],
    rcode: RCODE.NOERROR as number,
    extended: undefined as Template['extended'],
    fallthrough: [] as Uint8Array[],
  };
  const record = (section: Section) => (option: Line) => {
    for (const token of minArgs(option, 1))
      template.records.push(readRecord(section, template.type, token));
  };
  readOptions(line, {
    match: (option) => {
      template.patterns.push(...minArgs(option, 1).map(patternArg));
    },
    answer: record('answer'),
    authority: record('authority'),
    additional: record('additional'),
    rcode: (option) => {
      template.rcode = numberArg(oneArg(option), rcodeNumber, 'a response code like NXDOMAIN');
    },
    ederror: (option) => {
      const [code, text] = argsBetween(option, 1, 2) as readonly [Token, Token?];
      template.extended = { code: intArg(code, { min: 0, max: 65_535 }), text: text?.text ?? '' };
    },
    fallthrough: ({ args }) => {
      template.fallthrough = args.length === 0 ? [ROOT] : zonesOf(args, block).map(nameFromText);
    },
    upstream: ({ name, args }) => {
      // Has no effect in CoreDNS, but is still in old Corefiles.
      if (args.length > 0) throw new ConfigError(name.place, 'upstream takes no argument any more');
    },
    var: notYet,
    expr: notYet,
  });
  return template;
}

function notYet({ name }: Line): never {
  throw new ConfigError(name.place, `template option ${name.text} is not supported yet`);
}

function numberArg(
  token: Token,
  numberOf: (text: string) => number | undefined,
  what: string,
): number {
  const value = numberOf(token.text);
  if (value === undefined) throw badValue(token, what);
  return value;
}

function readRecord(section: Section, type: number, token: Token): RecordTemplate {
  try {
    const { fill, fields } = compile(token.text, FIELDS);
    // Without an action it is always the same record, so an error in it can be reported now.
    if (!token.text.includes('{{')) recordFromText(token.text);
    else checkType(token.text, type);
    const isPrivate = PRIVATE_FIELDS.some((field) => fields.has(field));
    return { section, text: token.text, fill, isPrivate };
  } catch (error) {
    throw new ConfigError(token.place, `${section} "${token.text}": ${messageOf(error)}`);
  }
}
