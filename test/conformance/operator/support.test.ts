/** `nodens support`, as built: one archive that tar can read, complete beside an agent, honest without one. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { OperatedAgent, runNodens } from '../../support/operator.ts';

const agent = new OperatedAgent();
const folder = mkdtempSync(join(tmpdir(), 'nodens-support-'));
let metrics = '';

before(async () => {
  await agent.start();
  metrics = /prometheus (\S+)/.exec(readFileSync(agent.conf, 'utf8'))?.[1] ?? '';
});
after(async () => {
  await agent.remove();
  rmSync(folder, { recursive: true });
});

/** Texts of the files in an archive by name. */
function unpacked(archive: string): ReadonlyMap<string, string> {
  const into = mkdtempSync(join(folder, 'files-'));
  const { status, stderr } = spawnSync('tar', ['-xzf', archive, '-C', into], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
  const [top = ''] = readdirSync(into);
  assert.match(top, /^nodens-support-.+-\d{8}T\d{6}Z$/);
  const names = readdirSync(join(into, top));
  return new Map(names.map((name) => [name, readFileSync(join(into, top, name), 'utf8')]));
}

describe('support', () => {
  it('writes what a bug report needs, without secrets, to a pipe', async () => {
    const archive = join(folder, 'piped.tar.gz');
    const env = {
      ...process.env,
      NODENS_ADMIN_SOCKET: agent.socket,
      NODENS_SOME_TOKEN: 'hunter22',
    };
    const argv = [agent.main, 'support', '-metrics', metrics];
    await new Promise<void>((resolve) => {
      const command = `exec "$0" "$@" > ${archive}`;
      execFile('sh', ['-c', command, process.execPath, ...argv], { env }, () => resolve());
    });
    const files = unpacked(archive);
    assert.equal(JSON.parse(files.get('status.json') ?? '').pid, agent.pid);
    assert.equal(JSON.parse(files.get('versions.json') ?? '').node, process.versions.node);
    assert.match(files.get('metrics.txt') ?? '', /^nodens_config_valid 1$/m);
    assert.match(files.get('log.txt') ?? '', /"msg":"serving"/);
    assert.match(files.get('doctor.txt') ?? '', /^\w+ +answers: /m);
    assert.ok(Array.isArray(JSON.parse(files.get('doctor.json') ?? '').findings));
    assert.ok(files.has('configuration.txt') && files.has('command-line.txt'));
    assert.match(files.get('environment.txt') ?? '', /^NODENS_SOME_TOKEN=\[removed\]$/m);
    for (const [name, text] of files) assert.ok(!text.includes('hunter22'), name);
  });

  it('writes to a file that only its owner may read, and says what is missing', async () => {
    const archive = join(folder, 'file.tar.gz');
    mkdirSync(join(folder, 'run'));
    const env = { NODENS_ADMIN_SOCKET: join(folder, 'run', 'none.sock') };
    const { code, err } = await runNodens(
      ['support', '-o', archive, '-metrics', '127.0.0.1:1'],
      env,
    );
    assert.equal(code, 1);
    assert.match(err, /^nodens support: missing: status\.json: no agent answers/m);
    assert.match(err, /^nodens support: missing: metrics\.txt: .*ECONNREFUSED/m);
    assert.equal(statSync(archive).mode & 0o777, 0o600);
    const files = unpacked(archive);
    assert.match(files.get('errors.txt') ?? '', /^status\.json: /m);
    assert.ok(files.has('doctor.json'));
  });

  it('refuses a file that cannot be written, as wrong usage', async () => {
    const { code, err } = await runNodens(['support', '-output', folder], {});
    assert.equal(code, 2);
    assert.match(err, /flag -output: /);
  });
});
