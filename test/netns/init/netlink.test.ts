/** What init writes and reads by netlink is what nft writes and prints. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { canMakeNetns, sayLeftOut, withNetns } from '../../support/netns/netns.ts';

const SCRIPT = fileURLToPath(new URL('../../support/netlink/tables-by-both.ts', import.meta.url));

it('tables by netlink are those of nft, word by word, and are read as nft prints them', async () => {
  if (!canMakeNetns()) return sayLeftOut('tables by netlink');
  await withNetns(['node'], async (node) => {
    const text = await node.run(process.execPath, [SCRIPT]);
    const { byNft, byNetlink, wrong } = JSON.parse(text) as Readonly<{
      byNft: string;
      byNetlink: string;
      wrong: readonly string[];
    }>;
    assert.match(byNft, /table inet nodens_flows_main/);
    assert.equal(byNetlink, byNft);
    assert.deepEqual(wrong, []);
  });
});
