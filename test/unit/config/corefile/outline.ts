/** Corefiles and their refusals as text that a test can compare. */
import assert from 'node:assert/strict';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { formatKey } from '../../../../agent/config/corefile/keys.ts';
import type { Corefile, Line } from '../../../../agent/config/corefile/types.ts';
import { parseText as parse, type Surroundings } from '../../../support/corefiles/parse.ts';

/** Blocks as nested arrays of text: keys, then lines. */
export function outline(corefile: Corefile): unknown {
  return corefile.blocks.map((block) => [
    block.keys.map(formatKey),
    block.directives.flatMap((directive) => directive.uses.map(lineOutline)),
  ]);
}

function lineOutline(line: Line): unknown {
  const words = [line.name.text, ...line.args.map((arg) => arg.text)];
  return line.body === undefined ? words : [...words, line.body.map(lineOutline)];
}

export function refusal(text: string, around: Surroundings = {}): string {
  try {
    parse(text, around);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail('was accepted');
}
