import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { ConfigError } from '../../agent/base/errors.ts';
import { formatKey } from '../../agent/config/corefile/keys.ts';
import type { Corefile, Line } from '../../agent/config/corefile/types.ts';
import { damagedCorefile, type MeantLine, validCorefile } from '../support/corefiles/arbitrary.ts';
import { parseText } from '../support/corefiles/parse.ts';
import { printCorefile } from '../support/corefiles/print.ts';

const bounds: fc.Parameters<unknown> = { numRuns: 1_000, interruptAfterTimeLimit: 10_000 };
const env = { A: 'va lue' };

const meant = (line: Line): MeantLine => ({
  words: [line.name.text, ...line.args.map((arg) => arg.text)],
  body: line.body?.map(meant),
});

/** Data without places, which printing changes, and without quoting. */
function dataOf({ blocks }: Corefile): unknown {
  return blocks.map(({ keys, directives }) => ({
    keys: keys.map(formatKey),
    directives: directives.map(({ name, uses }) => ({ name, uses: uses.map(meant) })),
  }));
}

function survivesPrinting(corefile: Corefile): void {
  const again = parseText(printCorefile(corefile));
  assert.deepEqual(dataOf(again), dataOf(corefile));
  assert.equal(again.hash, corefile.hash);
}

it('a Corefile has the meaning of its model, and its printed form has the same', () => {
  fc.assert(
    fc.property(validCorefile, ({ text, meaning, files }) => {
      const corefile = parseText(text, { files });
      const expected = meaning.map(({ keys, lines }) => ({
        keys,
        lines: [...Map.groupBy(lines, (line) => line.words[0]).values()].flat(),
      }));
      const got = corefile.blocks.map(({ keys, directives }) => ({
        keys: keys.map(formatKey),
        lines: directives.flatMap(({ uses }) => uses.map(meant)),
      }));
      assert.deepEqual(got, expected);
      survivesPrinting(corefile);
    }),
    bounds,
  );
});

it('a damaged Corefile is parsed or refused at a line that exists', () => {
  fc.assert(
    fc.property(damagedCorefile, ({ text, files }) => {
      let corefile: Corefile;
      try {
        corefile = parseText(text, { files, env });
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        const { file, line } = error.place;
        const source = file === '/etc/Corefile' ? text : files[file];
        assert.ok(source !== undefined, `no file ${file}`);
        assert.ok(line >= 1 && line <= source.split('\n').length, `${error.message} in ${text}`);
        assert.ok(error.message.startsWith(`${file}:${line}: `) && error.reason.length > 0);
        return;
      }
      if (!/\{[$%]/.test([text, ...Object.values(files)].join())) survivesPrinting(corefile);
    }),
    bounds,
  );
});
