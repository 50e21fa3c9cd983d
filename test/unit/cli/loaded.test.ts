/** What an agent has not loaded: libraries of features that its Corefile does not use. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from '../../support/free-port.ts';
import { importsOf, treeFiles } from '../../support/tree/imports.ts';

const MAIN = new URL('../../../dist/agent/main.js', import.meta.url).pathname;

/** Modules of Node that only a feature needs: the Kubernetes client, forward over TLS and HTTPS, pprof. */
const FEATURES = ['https', 'http2', 'tls', 'inspector', 'inspector/promises'];

it('an agent with metrics and a cache loads nothing of what it does not use', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-loaded-'));
  const [dns, admin] = [await freePort(), await freePort()];
  const [conf, probe] = [join(folder, 'Corefile'), join(folder, 'probe.mjs')];
  const found = join(folder, 'modules');
  writeFileSync(
    conf,
    `.:${dns} {\nbind 127.0.0.1\nerrors\ncache\nloop\nforward . 127.0.0.1:9\nprometheus 127.0.0.1:${admin}\n}\n`,
  );
  // Runs in the agent: ends it after a page of metrics.
  writeFileSync(
    probe,
    `import { writeFileSync } from 'node:fs';
     const modules = () => process.moduleLoadList.flatMap((line) => /^NativeModule (.*)/.exec(line)?.[1] ?? []);
     const scrape = async () => {
       const { get } = process.getBuiltinModule('node:http');
       get('http://127.0.0.1:${admin}/metrics', (response) => {
         response.resume().on('end', () => {
           writeFileSync('${found}', JSON.stringify([response.statusCode, ...modules()]));
           process.exit(0);
         });
       }).on('error', () => setTimeout(scrape, 50));
     };
     if (process.execArgv.some((flag) => flag.includes('-space-size'))) setTimeout(scrape, 50);
    `,
  );
  const args = ['--import', probe, MAIN, 'agent', '-conf', conf, '-socket', ''];
  await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  const [status, ...modules] = JSON.parse(readFileSync(found, 'utf8')) as [number, ...string[]];
  rmSync(folder, { recursive: true });
  assert.equal(status, 200);
  assert.ok(modules.includes('http'));
  assert.deepEqual(
    FEATURES.filter((name) => modules.includes(name)),
    [],
  );
});

it('the engine of patterns is loaded on demand only', () => {
  const engine = 'agent/config/corefile/pattern-engine.ts';
  const sources = treeFiles().filter((file) => /^(agent|init)\//.test(file));
  const importers = sources.flatMap((file) => importsOf(file));
  const found = importers.filter(({ target, isTypeOnly }) => target === engine && !isTypeOnly);
  assert.deepEqual(
    found.map(({ file }) => file),
    ['agent/config/corefile/pattern.ts'],
  );
  const text = readFileSync('agent/config/corefile/pattern.ts', 'utf8');
  assert.match(text, /await import\('\.\/pattern-engine\.ts'\)/);
  assert.doesNotMatch(text, /^import \{.*pattern-engine/m);
});
