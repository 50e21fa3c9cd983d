import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FirstPages } from '../../../agent/daemon/first-pages.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function setUp(): { readonly clock: FakeClock; readonly pages: FirstPages; opened(): number } {
  const clock = new FakeClock();
  let opened = 0;
  const pages = new FirstPages(clock, async () => void opened++);
  pages.openSoon();
  return { clock, pages, opened: () => opened };
}

it('pages open once, a moment after the start', async () => {
  const { clock, pages, opened } = setUp();
  await clock.advance(99);
  assert.equal(opened(), 0);
  await clock.advance(1);
  await pages.opened;
  await clock.advance(1_000);
  assert.equal(opened(), 1);
});

it('an agent that is asked to go opens none, and nothing waits for them', async () => {
  const { clock, pages, opened } = setUp();
  pages.cancel();
  await pages.opened;
  await clock.advance(1_000);
  assert.equal(opened(), 0);
});
