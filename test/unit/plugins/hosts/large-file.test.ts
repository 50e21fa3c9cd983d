import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryLedger } from '../../../../agent/base/clients/memory-ledger.ts';
import { AGENT_EVENTS } from '../../../../agent/base/events/table.ts';
import { setup } from '../../../../agent/plugins/hosts/setup.ts';
import type { OpenFile } from '../../../../agent/query/services/files.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';
import { change, FILE, fails, hosts, lines, withFile } from './hosting.ts';

/** Lines of one address and one name each. */
function manyHosts(count: number, suffix = 'example.org'): string {
  return Array.from(
    { length: count },
    (_, i) => `10.0.${i >> 8}.${i & 255} h${i}.${suffix}\n`,
  ).join('');
}

function withRoom(fileBudgetBytes: number, text: string): FakeServices {
  const ledger = new MemoryLedger({ clientBudgetBytes: 0, fileBudgetBytes });
  const services = fakeServices({ ledger });
  services.texts.set(FILE, text);
  return services;
}

describe('a large hosts file', () => {
  it('may have any size; its table counts in the ledger and needs less than twice the size of the text', async () => {
    const text = manyHosts(60_000, 'of-more-than-three-mib-text.example.org');
    const services = withFile(text);
    assert.ok(text.length > 3 * 2 ** 20);
    const plugin = await hosts('hosts', '.', services);
    assert.deepEqual(lines(plugin, 'h59999.of-more-than-three-mib-text.example.org', 'A'), [
      'A 10.0.234.95',
    ]);
    const { fileBytes } = services.ledger;
    assert.ok(fileBytes < 1.5 * text.length, `${fileBytes} for ${text.length}`);
    plugin.start?.();
    plugin.stop?.();
    await services.clock.advance(0);
    assert.equal(services.ledger.fileBytes, 0);
  });

  it('may be a block list; it has as many PTR records as fit an answer', async () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `b${i}.tracker.example`);
    const services = withFile(names.map((name) => `0.0.0.0 ${name}\n`).join(''));
    const plugin = await hosts('hosts', '.', services);
    for (const name of names) assert.deepEqual(lines(plugin, name, 'A'), ['A 0.0.0.0'], name);
    const pointers = lines(plugin, '0.0.0.0.in-addr.arpa', 'PTR');
    assert.ok(pointers.length > 1_000, `${pointers.length} fit`);
    assert.deepEqual(
      pointers,
      names.slice(0, pointers.length).map((name) => `PTR ${name}`),
    );
    plugin.start?.();
    const entries = services.metrics.value('coredns_hosts_entries', { hostsfile: FILE });
    assert.equal(entries, names.length + pointers.length);
    assert.deepEqual(services.log.records, [
      {
        level: 'info',
        fields: { file: FILE, surplusNames: names.length - pointers.length },
        message: 'addresses with too many names for one PTR answer',
      },
    ]);
  });

  it('is refused at the start where the memory does not suffice, and the inline entries serve', async () => {
    const services = withRoom(16_384, manyHosts(5_000));
    const plugin = await hosts('hosts {\n10.9.9.9 inline\n}', '.', services);
    assert.deepEqual(lines(plugin, 'inline', 'A'), ['A 10.9.9.9']);
    fails(plugin, 'h1.example.org', 'A');
    const [record] = services.log.records;
    assert.equal(record?.level, 'error');
    const { neededBytes, availableBytes, event } = record?.fields ?? {};
    assert.deepEqual([availableBytes, event], [16_384, 'hosts-refused']);
    assert.match(AGENT_EVENTS['hosts-refused'].remedy, /memory limit: .* a fifth of it/);
    assert.ok(typeof neededBytes === 'number' && neededBytes > 100_000 && neededBytes < 300_000);
    assert.equal(services.metrics.value('nodens_hosts_refused_total', { hostsfile: FILE }), 1);
    plugin.start?.();
    await services.clock.advance(0);
    assert.equal(services.log.records.length, 1, 'said once');
  });

  it('is refused at a reload where the memory does not suffice; the old table stays, and no entry is lost', async () => {
    const services = withRoom(500_000, manyHosts(5_000));
    const plugin = await hosts('hosts', '.', services);
    plugin.start?.();
    await services.clock.advance(0);
    const heldBytes = services.ledger.fileBytes;
    await change(services, manyHosts(10_000, 'example.net'));
    assert.deepEqual(lines(plugin, 'h4999.example.org', 'A'), ['A 10.0.19.135']);
    fails(plugin, 'h1.example.net', 'A');
    assert.equal(services.ledger.fileBytes, heldBytes);
    assert.equal(services.metrics.value('nodens_hosts_refused_total', { hostsfile: FILE }), 1);
    const error = services.log.records.find(({ level }) => level === 'error');
    assert.match(
      error?.message ?? '',
      /keeping its former content: needs \d+ bytes .* \d+ are available/,
    );
    await change(services, manyHosts(5_001));
    assert.deepEqual(lines(plugin, 'h5000.example.org', 'A'), ['A 10.0.19.136']);
  });

  it('is refused with the configuration that adds it', async () => {
    const services = withRoom(16_384, manyHosts(5_000));
    const { directive, block } = parseDirective('hosts');
    const plugin = setup(directive, block, services);
    await assert.rejects(() => plugin.prepare?.('beside queries') ?? Promise.resolve(), {
      name: 'ConfigError',
      message: /^\/etc\/Corefile:2: hosts file \/etc\/hosts cannot be read: needs \d+ bytes/,
    });
    plugin.discard?.();
    assert.equal(services.ledger.fileBytes, 0);
  });

  it('serves the old table until the new one is ready, and does not read again while the file is changing', async () => {
    const services = withFile('10.0.0.1 a\n');
    const chunks: PromiseWithResolvers<Uint8Array>[] = [];
    let isUnchanged = false;
    const plugin = await hosts('hosts', '.', services);
    plugin.start?.();
    await services.clock.advance(0);
    const heldBytes = services.ledger.fileBytes;
    const slow: OpenFile = {
      identity: 'slow',
      sizeBytes: 100,
      read: () => {
        chunks.push(Promise.withResolvers());
        return (chunks.at(-1) as PromiseWithResolvers<Uint8Array>).promise;
      },
      isUnchanged: () => Promise.resolve(isUnchanged),
      close: () => Promise.resolve(),
    };
    Object.assign(services.files, { open: () => Promise.resolve(slow) });
    const read = async (text: string): Promise<void> => {
      await services.clock.advance(0);
      chunks.at(-1)?.resolve(Buffer.from(text));
      await services.clock.advance(0);
      assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.1']);
    };
    services.touch(FILE);
    await read('10.0.0.2 a');
    await read('');
    assert.equal(services.ledger.fileBytes, heldBytes, 'half a file is in memory');
    isUnchanged = true;
    services.touch(FILE);
    await read('10.0.0.3');
    await read(' a\n');
    chunks.at(-1)?.resolve(new Uint8Array(0));
    await services.clock.advance(0);
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.3']);
  });

  it('is read once for all uses with the same options, before and after a reload', async () => {
    const services = withFile(manyHosts(1_000));
    const first = await hosts('hosts', '.', services);
    first.start?.();
    const { fileBytes } = services.ledger;
    const second = await hosts('hosts {\nttl 7\n}', '.', services);
    assert.equal(services.ledger.fileBytes, fileBytes);
    first.stop?.();
    await services.clock.advance(0);
    assert.equal(services.ledger.fileBytes, fileBytes);
    assert.deepEqual(lines(second, 'h999.example.org', 'A'), ['A 10.0.3.231']);
    const third = await hosts('hosts /etc/hosts example.net', '.', services);
    assert.ok(services.ledger.fileBytes > fileBytes, 'other zones, another table');
    second.discard?.();
    third.discard?.();
    await services.clock.advance(0);
    assert.equal(services.ledger.fileBytes, 0);
  });
});
