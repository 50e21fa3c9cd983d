/** The suite's subject can be any server: the shared cases run with unbound and with dnsdist as `DNS_TEST_SUBJECT`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/free-port.ts';
import { PEERS, startPeers, stopped } from '../support/server/subject.ts';

const QUESTIONS = fileURLToPath(new URL('questions.test.ts', import.meta.url));
const RESOLVING = fileURLToPath(new URL('resolving.test.ts', import.meta.url));

/** Suites whose cases any cache passes. */
const SHARED = ['^shared with', '^the subject'];

interface Outcome {
  readonly code: number;
  readonly text: string;
}

function suite(
  subject: string,
  upstreamPort: number,
  patterns: string[],
  files: string[],
): Promise<Outcome> {
  const chosen = patterns.map((pattern) => `--test-name-pattern=${pattern}`);
  const args = ['--test', '--test-concurrency=1', ...chosen, ...files];
  // Without the variable of the test runner, which would make this run silent.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return new Promise((resolve) => {
    const options = {
      env: { ...env, DNS_TEST_SUBJECT: subject, DNS_TEST_UPSTREAM_PORT: String(upstreamPort) },
    };
    execFile(process.execPath, args, options, (error, stdout) => {
      resolve({ code: error === null ? 0 : 1, text: stdout });
    });
  });
}

const passed = ({ text }: Outcome): number => Number(/^ℹ pass (\d+)$/m.exec(text)?.[1] ?? -1);

for (const name of PEERS) {
  it(`${name} passes the shared cases`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodens-subject-'));
    const upstreamPort = await freePort();
    const { peers, children } = await startPeers(folder, upstreamPort);
    try {
      const { host, port } = peers[name];
      const run = (): Promise<Outcome> =>
        suite(`${host}:${port}`, upstreamPort, SHARED, [QUESTIONS, RESOLVING]);
      // The test shows that another server can pass the suite, not that it never stalls: dnsdist's TCP connections
      // upstream sometimes stall for seconds.
      const first = await run();
      const outcome = first.code === 0 ? first : await run();
      assert.equal(outcome.code, 0, outcome.text);
      assert.ok(passed(outcome) >= 30, outcome.text);
    } finally {
      await Promise.all(children.map(stopped));
      rmSync(folder, { recursive: true });
    }
  });
}

it('a subject that does not answer fails the shared cases', async () => {
  const outcome = await suite('127.0.0.1:9', await freePort(), ['an address$'], [QUESTIONS]);
  assert.equal(outcome.code, 1);
  assert.match(outcome.text, /9 answers/);
});
