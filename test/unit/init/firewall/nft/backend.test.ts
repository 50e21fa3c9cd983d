import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadBackError } from '../../../../../init/firewall/backend.ts';
import { NftTables, nftLine } from '../../../../../init/firewall/nft/backend.ts';
import type { Rule } from '../../../../../init/plan/plan.ts';
import { failure, fakeSystem } from '../../fake-system.ts';
import { absent, kernel, listing, rules, writes } from './kernel.ts';

describe('nft lines', () => {
  const line = (id: string): string =>
    nftLine([...rules.query, ...rules.standing, ...rules.accept].find((r) => r.id === id) as Rule);

  it('match the port first, then the address, then the socket', () => {
    assert.match(
      line('query-pod-udp4'),
      /^udp dport 53 ip daddr { 169\.254\.20\.10 } socket wildcard 0 counter notrack comment "nodens:query-pod-udp4:[0-9a-f]{8}"$/,
    );
    assert.match(
      line('query-pod-tcp6'),
      /^tcp dport 53 ip6 daddr { fd00::a } tcp flags & \(fin \| syn \| rst \| ack\) == syn meta mark & 0x1000 == 0x1000 socket transparent 0 counter notrack /,
    );
    assert.match(
      line('query-host-udp4'),
      /^udp dport 53 ip daddr { 169.254.20.10 } counter notrack/,
    );
    assert.match(line('reply-tcp4'), /^tcp sport 53 ip saddr { 169.254.20.10 } counter notrack/);
    assert.match(line('accept-dns-in-reply-udp4'), /iifname "lo" counter accept/);
  });
});

describe('nft tables', () => {
  it('init writes missing tables in one transaction, and reads them back', async () => {
    const { system, calls } = fakeSystem(kernel({ query: [], standing: [] }));
    assert.equal(await new NftTables(system, undefined).apply(rules), true);
    const [script = '', ...others] = writes(calls);
    assert.equal(others.length, 0);
    assert.match(
      script,
      /^add table inet nodens_query_main\ndelete table inet nodens_query_main\n/,
    );
    assert.match(
      script,
      /table inet nodens_standing_main {\n {2}chain declared_[0-9a-f]{8} {\n {2}}\n {2}chain output {/,
    );
    assert.match(calls.at(-1)?.command ?? '', /list table inet nodens_standing_main/);
  });

  it('init does not write tables that are right', async () => {
    const { system, calls } = fakeSystem(kernel(rules));
    assert.equal(await new NftTables(system, undefined).apply(rules), false);
    assert.deepEqual(writes(calls), []);
  });

  it('init replaces only the table that differs', async () => {
    const { system, calls } = fakeSystem(kernel({ ...rules, standing: rules.standing.slice(1) }));
    await new NftTables(system, undefined).apply(rules);
    assert.doesNotMatch(writes(calls).join(), /query/);
  });

  it('init replaces a table whose rules are in another order', async () => {
    const { system, calls } = fakeSystem(kernel({ ...rules, query: rules.query.toReversed() }));
    await new NftTables(system, undefined).apply(rules);
    assert.equal(writes(calls).length, 1);
  });

  it('a withdrawal deletes the query table in one transaction', async () => {
    let gone = false;
    const { system, calls } = fakeSystem((command) => {
      gone ||= command === 'nft -f -';
      if (command.endsWith('nodens_query_main'))
        return gone ? absent(command) : listing('nodens_query_main', rules.query);
      return command.endsWith('standing_main') ? listing('s', rules.standing) : undefined;
    });
    await new NftTables(system, undefined).apply({ ...rules, query: [] });
    assert.deepEqual(writes(calls), [
      'add table inet nodens_query_main\ndelete table inet nodens_query_main\n',
    ]);
  });

  it('a kernel that lacks what it has accepted is an error', async () => {
    const { system } = fakeSystem((command) => (command.includes('list') ? absent(command) : ''));
    await assert.rejects(new NftTables(system, undefined).apply(rules), ReadBackError);
  });

  it('a failure to list a table does not count as a missing table', async () => {
    const { system, calls } = fakeSystem((command) => failure(command, 'Operation not permitted'));
    await assert.rejects(new NftTables(system, undefined).apply(rules), /Operation not permitted/);
    assert.deepEqual(writes(calls), []);
  });

  it('cleanup removes the tables of any instance of nodens, and no others', async () => {
    const tables = 'table inet nodens_query_old\ntable inet fw\ntable ip nodens_x\n';
    const { system, calls } = fakeSystem((command) =>
      command === 'nft list tables' ? tables : '',
    );
    const removed = await new NftTables(system, undefined).removeAll();
    assert.deepEqual(removed, ['nft table inet nodens_query_old']);
    assert.deepEqual(writes(calls), [
      'add table inet nodens_query_old\ndelete table inet nodens_query_old\n',
    ]);
  });
});
