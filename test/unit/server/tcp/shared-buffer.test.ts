/** Connections that one client opens at once read into one buffer, in turns: none gets bytes of another. */
import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';
import { loadAddon } from '../../../../agent/server/addon.ts';
import { TcpClients } from '../../../../agent/server/tcp/clients.ts';
import { takeoverListen } from '../../../../agent/server/tcp/reuseport-takeover.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { answerTo, queryWire } from '../../../support/server/fixture.ts';
import { closeListeners, ids, listen } from '../../../support/server/tcp-listening.ts';

/** More than the agent handles before others have their turn. */
const QUERIES = 400;
const CLIENTS = 20;

afterEach(closeListeners);

const addon = loadAddon();

it('many connections that write at once', { skip: addon instanceof Error }, async () => {
  if (addon instanceof Error) return;
  const clients = new TcpClients(ledgerWith());
  const { connect } = await listen(answerTo, clients, takeoverListen(addon));
  const made = await Promise.all(ids(0, CLIENTS).map(() => connect()));
  const nameOf = (i: number, id: number): string => `${'x'.repeat(1 + (id % 50))}${i}.test`;
  for (const [i, client] of made.entries())
    client.ask(...ids(0, QUERIES).map((id) => queryWire(nameOf(i, id), id)));
  for (const [i, client] of made.entries()) {
    await client.received(QUERIES);
    assert.deepEqual(client.ids(), ids(0, QUERIES));
    for (const [id, message] of client.messages.entries())
      assert.ok(message.includes(`${nameOf(i, id).slice(0, -5)}\x04test\0`, 12, 'latin1'));
  }
});
