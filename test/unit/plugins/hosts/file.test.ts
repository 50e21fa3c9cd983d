import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openFile } from '../../../../agent/config/files.ts';
import { fakeServices } from '../../../support/services.ts';
import { change, FILE, fails, hosts, lines, withFile } from './hosting.ts';

describe('hosts file', () => {
  it('may be missing, with a warning', async () => {
    const services = fakeServices();
    fails(await hosts('hosts /nowhere', '.', services), 'localhost', 'A');
    assert.equal(services.log.records[0]?.level, 'warn');
  });

  it('must be readable where it exists', async () => {
    const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
    const files = { ...fakeServices().files, open: () => Promise.reject(denied) };
    await assert.rejects(() => hosts('hosts', '.', fakeServices({ files })), {
      name: 'ConfigError',
      message: '/etc/Corefile:2: hosts file /etc/hosts cannot be read: EACCES: permission denied',
    });
  });

  it('that cannot be read for lack of resources is postponed, and read later', async () => {
    const lacking = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    const services = withFile('10.0.0.1 a\n');
    const { open } = services.files;
    const lack = { open: () => Promise.reject(lacking) };
    const plugin = await hosts('hosts', '.', services);
    plugin.start?.();
    await services.clock.advance(0);
    Object.assign(services.files, lack);
    await assert.rejects(() => hosts('hosts', '.', services), { name: 'UnreadError' });
    services.texts.set(FILE, '10.0.0.2 a\n');
    services.touch(FILE);
    await services.clock.advance(4_000);
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.1']);
    Object.assign(services.files, { open });
    await services.clock.advance(1_000);
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.2']);
  });

  it('is read again when it changes, and its table is kept while the file is missing', async () => {
    const services = withFile('10.0.0.1 a\n');
    const plugin = await hosts('hosts', '.', services);
    plugin.start?.();
    services.texts.set(FILE, '10.0.0.2 a\n');
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.1']);
    services.touch(FILE);
    await services.clock.advance(0);
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.2']);
    services.texts.delete(FILE);
    services.touch(FILE);
    await services.clock.advance(0);
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.2']);
    assert.equal(services.log.records.filter(({ level }) => level === 'warn').length, 1);
    plugin.stop?.();
    await change(services, '10.0.0.3 a\n');
    assert.equal(services.ledger.fileBytes, 0);
  });

  it('is read once more at the start where it changed since it was read', async () => {
    const services = withFile('10.0.0.1 a\n');
    const plugin = await hosts('hosts', '.', services);
    services.texts.set(FILE, '10.0.0.2 a\n');
    plugin.start?.();
    await services.clock.advance(0);
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.2']);
  });

  it('is not watched with reload 0s', async () => {
    const services = withFile('10.0.0.1 a\n');
    const plugin = await hosts('hosts {\nreload 0s\n}', '.', services);
    plugin.start?.();
    await change(services, '10.0.0.2 a\n');
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.1']);
  });

  it('is counted once it is in use', async () => {
    const services = withFile('10.0.0.1 a b\n10.0.0.1 *.c\n');
    const plugin = await hosts('hosts', '.', services);
    const entries = () => services.metrics.value('coredns_hosts_entries', { hostsfile: FILE });
    assert.equal(entries(), 0);
    plugin.start?.();
    assert.equal(entries(), 5);
    const readAt = () => services.metrics.value('coredns_hosts_reload_timestamp_seconds');
    const startedAt = services.clock.wallMs() / 1_000;
    assert.equal(readAt(), startedAt);
    await services.clock.advance(60_000);
    services.touch(FILE);
    await services.clock.advance(0);
    assert.equal(readAt(), startedAt, 'read again without need');
    await change(services, '10.0.0.1 a\n');
    assert.equal(entries(), 2);
    assert.ok(readAt() > startedAt);
  });

  it('may contain bytes that are not UTF-8: in comments they are ignored, such names are omitted', async () => {
    const text = Buffer.from(
      '\ufeff10.0.0.1 a # caf\xe9\n# \xff\xfe\n10.0.0.2 b\xe9 c\nx\xe9 y\n',
      'utf8',
    );
    const latin1 = Buffer.from(text.toString('utf8').slice(1), 'latin1');
    const services = withFile(latin1);
    const plugin = await hosts('hosts', '.', services);
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.1']);
    assert.deepEqual(lines(plugin, 'c', 'A'), ['A 10.0.0.2']);
    const [warning, ...others] = services.log.records;
    assert.deepEqual(warning?.fields, {
      ...{ event: 'hosts-file', file: FILE },
      ...{ skipped: 2, line: 3 },
    });
    assert.match(warning?.message ?? '', /the first: \/etc\/hosts:3/);
    assert.deepEqual(others, []);
    const marked = await hosts('hosts', '.', withFile(text));
    assert.deepEqual(lines(marked, 'a', 'A'), ['A 10.0.0.1']);
  });

  it('may be /dev/null, with every entry in the Corefile', async () => {
    const services = fakeServices();
    const files = { ...services.files, open: (name: string) => openFile(name, services.clock) };
    const plugin = await hosts('hosts /dev/null {\n10.0.0.1 a\n}', '.', fakeServices({ files }));
    assert.deepEqual(lines(plugin, 'a', 'A'), ['A 10.0.0.1']);
  });

  it('may be a file only: a named pipe, a directory or a device is refused with its kind', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'nodens-hosts-'));
    t.after(() => rmSync(dir, { recursive: true }));
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    mkdirSync(join(dir, 'folder'));
    for (const [path, kind] of [
      [join(dir, 'pipe'), 'a named pipe'],
      [join(dir, 'folder'), 'a directory'],
      ['/dev/zero', 'a device'],
    ] as const) {
      const services = fakeServices();
      const files = { ...services.files, open: (name: string) => openFile(name, services.clock) };
      await assert.rejects(() => hosts(`hosts ${path}`, '.', fakeServices({ files })), {
        name: 'ConfigError',
        message: `/etc/Corefile:2: hosts file ${path} cannot be read: ${path} is ${kind}, not a regular file`,
      });
    }
  });
});
