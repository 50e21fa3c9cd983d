import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NetlinkOwner } from '../../../../../init/firewall/nft/netlink-owner.ts';
import { CommandError } from '../../../../../init/node/exec.ts';
import { settle } from '../../../../support/fake-clock.ts';

/** Sockets with a number each; `answer` is what the kernel does with a transaction. */
function owned(answer: () => Promise<Uint8Array>) {
  const steps: string[] = [];
  let opened = 0;
  const owner = new NetlinkOwner({
    openNetlink: () => {
      steps.push(`open ${++opened}`);
      return { number: opened };
    },
    closeNetlink: async (socket) =>
      void steps.push(`close ${(socket as { number: number }).number}`),
    queryNetlink: async (socket) => {
      steps.push(`write ${(socket as { number: number }).number}`);
      return answer();
    },
  });
  const write = () => owner.execute('', { owned: 'nodens_query_one' });
  return { owner, steps, write };
}

const done = async (): Promise<Uint8Array> => new Uint8Array(0);

describe('the socket that owns query rules', () => {
  it('is opened once, and closed by a drop; the next transaction opens another', async () => {
    const { owner, steps, write } = owned(done);
    await write();
    await write();
    await owner.drop();
    await owner.drop();
    await write();
    assert.deepEqual(steps, ['open 1', 'write 1', 'write 1', 'close 1', 'open 2', 'write 2']);
  });

  it('is closed after the transaction that runs, and those that wait are rejected', async () => {
    const running = Promise.withResolvers<Uint8Array>();
    const { owner, steps, write } = owned(() => running.promise);
    const first = write();
    await settle();
    const waiting = write();
    const dropped = owner.drop();
    running.resolve(new Uint8Array(0));
    await first;
    await assert.rejects(waiting, /netlink: owned table: dropped/);
    await dropped;
    assert.deepEqual(steps, ['open 1', 'write 1', 'close 1']);
  });

  it('a transaction that the kernel refuses says why, and the next one is tried', async () => {
    let fails = true;
    const { write } = owned(async () => {
      if (fails) throw Object.assign(new Error('netlink EPERM: no'), { code: 'EPERM' });
      return done();
    });
    await assert.rejects(write(), CommandError);
    fails = false;
    await write();
  });
});
