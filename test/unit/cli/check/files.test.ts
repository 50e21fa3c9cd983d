/** Files that a Corefile names: those of the pod do not exist where an operator checks it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { checkCommand } from '../../../../agent/cli/check.ts';
import { check } from '../../../support/cli/check.ts';

const dir = mkdtempSync(join(tmpdir(), 'nodens-check-'));
after(() => rmSync(dir, { recursive: true }));
const EXAMPLES = new URL('../../../../examples', import.meta.url).pathname;

const path = join(dir, 'Corefile');
writeFileSync(
  path,
  '.:53 {\nbind 127.0.0.1\nforward . tls://192.0.2.7 {\ntls /etc/none/ca.pem\n}\n}\n',
);

/** As in the agent's container. */
async function inPod(target: string): Promise<{ code: number; err: string }> {
  let err = '';
  const write = (text: string): void => {
    err += text;
  };
  const container = [process.execPath, '/opt/nodens/dist/agent/main.js', 'agent'];
  const code = await checkCommand(
    [target],
    { stdout: { write: () => undefined }, stderr: { write } },
    container,
  );
  return { code, err };
}

describe('nodens check of a Corefile with a file of the pod', () => {
  it('warns that it cannot see the file, and says where', async () => {
    const { code, out, warnings } = await check(path);
    assert.deepEqual([code, out], [0, '']);
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(
      warnings[0] ?? '',
      /Corefile:4: this machine has no \/etc\/none\/ca\.pem, .*: not checked/,
    );
    assert.equal((await check(path, '-strict')).code, 1);
  });

  it('refuses it in the pod, of a directory as well', async () => {
    for (const target of [path, dir]) {
      const { code, err } = await inPod(target);
      assert.equal(code, 1, target);
      assert.match(err, /^error: .*Corefile:4: "\/etc\/none\/ca\.pem" cannot be read: ENOENT/m);
    }
  });

  it('refuses a file that would be beside the Corefile', async () => {
    const relative = join(dir, 'Corefile.relative');
    writeFileSync(relative, readFileSync(path, 'utf8').replace('/etc/none/ca.pem', 'ca.pem'));
    assert.equal((await check(relative)).code, 1);
  });

  it('finds nothing wrong with the examples', async () => {
    const { code, err } = await check(EXAMPLES);
    assert.equal(code, 0, err);
  });
});
