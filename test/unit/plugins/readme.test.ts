/** Documentation is executed: every plugin's README has the fixed parts, and its Corefiles work. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { OLDER_NAMES } from '../../../agent/observe/metrics/legacy-names.ts';
import { SERIES } from '../../../agent/observe/metrics/names.ts';
import { PLUGINS, SUPPORTED } from '../../../agent/plugins/order.ts';
import { parseText } from '../../support/corefiles/parse.ts';
import { fakeServices } from '../../support/services.ts';

const ROOM = new URL('../../../agent/plugins/', import.meta.url);
const SECTIONS = ['Name', 'Description', 'Syntax', 'Defaults', 'Metrics', 'Examples'];
const FOLDERS = readdirSync(ROOM, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

const readmeOf = (name: string): string => readFileSync(new URL(`${name}/README.md`, ROOM), 'utf8');

/** Upstreams that are never asked: examples name real ones. */
const upstreams = {
  group: () => ({
    admits: () => true,
    exchange: () => Promise.reject(new Error('an example sends no upstream query')),
    release: () => {},
  }),
};

/** Sets up every directive of `text`, as the daemon does. */
function setUpAll(text: string): void {
  const files = { '/etc/resolv.conf': 'nameserver 192.0.2.53\nsearch example.org\n' };
  const services = fakeServices({ upstreams });
  for (const [path, content] of Object.entries(files)) services.texts.set(path, content);
  const { blocks } = parseText(text, { files });
  assert.ok(blocks.length > 0, 'an empty example');
  for (const block of blocks) {
    for (const directive of block.directives) {
      const plugin = PLUGINS.find(({ name }) => name === directive.name);
      assert.ok(plugin !== undefined, `an example uses ${directive.name}, which does not exist`);
      assert.equal(plugin.setup(directive, block, services).name, directive.name);
    }
  }
}

describe('plugins', () => {
  it('are the folders and the ordered list, one for one', () => {
    assert.deepEqual([...SUPPORTED].sort(), FOLDERS.sort());
    assert.equal(SUPPORTED.size, PLUGINS.length);
  });
});

for (const name of FOLDERS) {
  describe(`README of ${name}`, () => {
    const readme = readmeOf(name);

    it('has the fixed sections in order', () => {
      const headings = [...readme.matchAll(/^## (.+)$/gm)].map((match) => match[1] as string);
      assert.deepEqual(
        headings.filter((heading) => SECTIONS.includes(heading)),
        SECTIONS,
      );
      assert.match(readme, new RegExp(`^# ${name}\n\n## Name\n\n[*_]${name}[*_] - \\w.*\\.\n`));
      assert.match(readme, /^## Differences from CoreDNS$/m);
    });

    it('names only series that exist', () => {
      for (const [series] of readme.matchAll(/(?<!\w)(?:coredns|nodens)_[a-z0-9_]+/g)) {
        const isKnown = Object.hasOwn(SERIES, series) || Object.hasOwn(OLDER_NAMES, series);
        assert.ok(isKnown, `no series ${series}`);
      }
    });

    const fences = [...readme.matchAll(/```corefile\n(.*?)```/gs)].map(
      (match) => match[1] as string,
    );
    it('has examples', () => assert.ok(fences.length > 0, 'no corefile fence'));
    for (const [index, fence] of fences.entries()) {
      it(`example ${index + 1} sets up`, () => setUpAll(fence));
    }
  });
}
