import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { checkCommand } from '../../../agent/cli/check.ts';
import { agentFlags, given } from '../../../agent/cli/running-agent.ts';

const dir = mkdtempSync(join(tmpdir(), 'nodens-running-'));
after(() => rmSync(dir, { recursive: true }));

const NODE = ['/usr/local/bin/node', '--max-old-space-size=96', '--no-maglev'];
const AGENT = [...NODE, '/opt/nodens/dist/agent/main.js'];
const INIT = [...NODE, '/opt/nodens/dist/init/main.js'];

/** What `nodens check` says in a container whose first process is `container`. */
async function check(container: readonly string[], ...argv: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const stdout = { write: (text: string) => out.push(text) };
  const stderr = { write: (text: string) => err.push(text) };
  const code = await checkCommand(argv, { stdout, stderr }, container);
  return { code, out: out.join(''), err: err.join('') };
}

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

describe('the agent whose container this is', () => {
  for (const [what, words] of [
    ['by itself', [...AGENT, 'agent', '--localip=192.0.2.1', '-quiet']],
    ['as child of init', [...INIT, '--supervise', '--', 'agent', '--localip=192.0.2.1']],
    ['in a drop-in that only serves', [...AGENT, '-localip', '192.0.2.1', '-setupiptables=false']],
  ] as const)
    it(what, () => {
      const { localip, quiet } = agentFlags(words) ?? {};
      assert.deepEqual({ localip, quiet }, { localip: '192.0.2.1', quiet: undefined });
    });

  it('is none where init, another program or a command of ours is the first process', () => {
    for (const words of [
      [...INIT, '--localip=192.0.2.1'],
      ['/sbin/init', 'splash'],
      [...AGENT, 'check'],
      [...AGENT],
      [],
    ])
      assert.equal(agentFlags(words), undefined, words.join(' '));
  });

  it('leaves out what was not given', () => {
    assert.deepEqual(given({ localip: '192.0.2.1', conf: undefined }), { localip: '192.0.2.1' });
  });
});

describe('nodens check in the container of the agent', () => {
  const text = '.:53 {\n bind __PILLAR__LOCAL__DNS__\n errors\n cache\n forward . 192.0.2.7\n}\n';
  const template = file('Corefile.base', text);
  const running = [
    ...AGENT,
    ...['agent', '--localip=192.0.2.1,192.0.2.2', `--basecorefile=${template}`],
    ...['--conf=/no/such/folder/Corefile', '--quiet'],
  ];

  it("means that agent's configuration, and says so", async () => {
    const { code, out, err } = await check(running);
    assert.equal(code, 0, err);
    assert.match(out, /^ {4}bind 192\.0\.2\.1 192\.0\.2\.2$/m);
    assert.match(err, /^flags of the agent that runs here: -localip=192\.0\.2\.1,192\.0\.2\.2 /);
  });

  it('takes what the command line says first', async () => {
    const { out } = await check(running, '-localip', '192.0.2.3');
    assert.match(out, /^ {4}bind 192\.0\.2\.3$/m);
  });

  it('checks a file with the flags of that agent', async () => {
    const { out } = await check(running, file('Corefile.new', text));
    assert.match(out, /^ {4}bind 192\.0\.2\.1 192\.0\.2\.2$/m);
  });
});
