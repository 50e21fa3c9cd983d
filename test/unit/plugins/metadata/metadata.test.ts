import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/metadata/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { queryFor } from '../../../support/dns/queries.ts';

function metadataOf(text: string, name: string): Map<string, string> | undefined {
  const { directive, block } = parseDirective(text, 'example.org');
  const query = queryFor(name, 'A');
  setup(directive, block).describe?.(query);
  return query.metadata;
}

describe('metadata', () => {
  it('is collected for names of its zones, the block’s own without any', () => {
    assert.deepEqual(metadataOf('metadata', 'www.example.org'), new Map());
    assert.equal(metadataOf('metadata', 'example.com'), undefined);
    assert.equal(metadataOf('metadata a.example.org', 'www.example.org'), undefined);
    assert.deepEqual(metadataOf('metadata a.example.org', 'x.a.example.org'), new Map());
  });

  it('accepts no braces and only one use', () => {
    assert.throws(() => metadataOf('metadata {\nthing\n}', 'a'), ConfigError);
    assert.throws(() => metadataOf('metadata\nmetadata', 'a'), ConfigError);
  });
});
