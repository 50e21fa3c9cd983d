/** `nodens check`'s pipeline on random Corefiles: parsed or refused with a place, and its output has the same meaning. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import fc from 'fast-check';
import { ConfigError, type Place } from '../../agent/base/errors.ts';
import { dryRun } from '../../agent/daemon/configuration/dry-run.ts';
import { effectiveCorefile } from '../../agent/daemon/configuration/effective.ts';
import { warningsOf } from '../../agent/daemon/configuration/warnings.ts';
import { damagedCorefile, validCorefile } from '../support/corefiles/arbitrary.ts';
import { parseText } from '../support/corefiles/parse.ts';

const bounds: fc.Parameters<unknown> = { numRuns: 5_000, interruptAfterTimeLimit: 20_000 };

interface Examined {
  readonly effective: string;
  readonly places: readonly Place[];
}

function examine(text: string, files: Readonly<Record<string, string>> = {}): Examined {
  const run = dryRun(parseText(text, { files, env: { A: 'va lue' } }), {
    read: (path) => {
      // A word without a slash is a file if that exists, else the name of an upstream.
      if (!path.includes('/')) throw new Error(`no file ${path}`);
      return path === '/etc/resolv.conf' ? 'search example.org\nnameserver 192.0.2.53\n' : '';
    },
    open: (path) => Promise.reject(new Error(`no file ${path}`)),
  });
  const places = warningsOf(run, 'cluster.local.').map(({ place }) => place);
  return { effective: effectiveCorefile(run), places };
}

/** Undefined for a Corefile that is rightly refused. */
function examinedOrRefused(text: string, files?: Record<string, string>): Examined | undefined {
  try {
    return examine(text, files);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `${String(error)} for ${text}`);
    assert.ok(error.place.line >= 1 && error.reason.length > 0, text);
    return undefined;
  }
}

const ROOM = new URL('../../agent/plugins/', import.meta.url);
/** Every server block of the READMEs' examples. */
const EXAMPLES = readdirSync(ROOM, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .flatMap(({ name }) => {
    const readme = readFileSync(new URL(`${name}/README.md`, ROOM), 'utf8');
    return [...readme.matchAll(/```corefile\n(.*?)```/gs)].map(([, text]) => text as string);
  });
const WORDS = [...new Set(EXAMPLES.flatMap((text) => text.split(/\s+/)))].filter(
  (word) => word !== '' && word !== '{' && word !== '}',
);
const LINES = [...new Set(EXAMPLES.flatMap((text) => text.split('\n').map((line) => line.trim())))];

const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...WORDS) },
  fc.constantFrom(
    '0',
    '-1',
    '1',
    '65536',
    '1h',
    '-1s',
    '999999999999',
    '""',
    '.',
    '*',
    '{$A}',
    '::1',
  ),
);
/** Blocks of valid lines, and of known words in unexpected places. */
const plausible = fc
  .array(
    fc.tuple(
      fc.constantFrom('.', 'a.example', 'cluster.local:53', '10.0.0.0/8', '.:1053'),
      fc.array(
        fc.oneof(
          fc.constantFrom(...LINES.filter((line) => !/[{}]/.test(line))),
          fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(' ')),
          fc
            .tuple(word, fc.array(fc.array(word, { maxLength: 4 }), { maxLength: 3 }))
            .map(
              ([head, body]) => `${head} {\n${body.map((line) => line.join(' ')).join('\n')}\n}`,
            ),
        ),
        { maxLength: 6 },
      ),
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((blocks) =>
    blocks.map(([key, lines]) => `${key} {\nbind 127.0.0.1\n${lines.join('\n')}\n}\n`).join(''),
  );

/** Examples of the READMEs with a word changed, a line removed, or one added. */
const mutated = fc
  .tuple(fc.constantFrom(...EXAMPLES), fc.nat(), word, fc.constantFrom('word', 'drop', 'add'))
  .map(([text, at, other, how]) => {
    const lines = text.split('\n');
    const line = at % lines.length;
    if (how === 'drop') lines.splice(line, 1);
    else if (how === 'add') lines.splice(line, 0, other);
    else lines[line] = (lines[line] as string).replace(/\S+\s*$/, other);
    return lines.join('\n');
  });

it('every example of a README is valid, and its printed form has the same meaning', () => {
  for (const text of EXAMPLES) {
    const { effective } = examine(text);
    assert.equal(examine(effective).effective, effective, text);
  }
});

for (const [name, texts] of [
  ['plausible Corefiles', plausible],
  ['examples with a change', mutated],
] as const) {
  it(`${name} are parsed or refused with a place`, () => {
    let valid = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const examined = examinedOrRefused(text);
        if (examined === undefined) return;
        valid++;
        for (const { line } of examined.places) assert.ok(line <= text.split('\n').length, text);
        assert.equal(examine(examined.effective).effective, examined.effective, text);
      }),
      bounds,
    );
    assert.ok(valid > 100, `only ${valid} were valid`);
  });
}

it('so are those of the grammar, and garbage', () => {
  fc.assert(
    fc.property(fc.oneof(validCorefile, damagedCorefile), ({ text, files }) => {
      examinedOrRefused(text, files);
    }),
    bounds,
  );
});
