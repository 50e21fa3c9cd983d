/**
 * `npm run browser`: the status page of the program as built in a real Chromium, light and dark, on a desktop and on a
 * telephone, with and without scripts. It installs Debian's chromium (400 MB) if that is missing: `npm test` does not
 * need it, and proves the page's text by `test/unit/operator/status-page.test.ts`.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { freePort } from './support/free-port.ts';
import { OperatedAgent } from './support/operator.ts';
import { hasProgram, installPackages } from './support/packages.ts';

const HELP = `npm run browser -- [--out FOLDER]

  --out FOLDER  where the pictures go (default: /tmp)
  --help
`;

const A = 1;
/** Browser time for which the page may run: its script fetches it again after 2 s. */
const PAGE_MS = 4_000;
const TIMEOUT_MS = 120_000;
const NAMES = [
  'web.default.svc.cluster.local',
  '<script>document.title="broken"</script>.test',
  '"><img src=x onerror=document.title=2>.test',
];

interface View {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly flags: readonly string[];
}

const VIEWS: readonly View[] = [
  { name: 'desktop-light', width: 1_200, height: 1_300, flags: [] },
  { name: 'desktop-dark', width: 1_200, height: 1_300, flags: ['--force-dark-mode'] },
  { name: 'phone-light', width: 390, height: 2_000, flags: [] },
  { name: 'phone-dark', width: 390, height: 2_000, flags: ['--force-dark-mode'] },
  // Chromium prints no text of it: the numbers are on the picture, and in the unit test.
  {
    name: 'no-script',
    width: 1_200,
    height: 1_300,
    flags: ['--blink-settings=scriptEnabled=false'],
  },
];

/** Runs Chromium once; resolves with what it prints. Rejects if a script, a style or the network had an error. */
async function chromium(url: string, flags: readonly string[]): Promise<string> {
  // Processes of the run before may still have its profile.
  const profile = mkdtempSync(join(tmpdir(), 'nodens-browser-'));
  const own = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'];
  const logged = ['--enable-logging=stderr', `--user-data-dir=${profile}`];
  const args = [...own, ...logged, `--virtual-time-budget=${PAGE_MS}`, ...flags, url];
  const { stdout, stderr } = await execa('chromium', args, { timeout: TIMEOUT_MS });
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  // Errors of the page and refusals by its Content-Security-Policy; the rest is Chromium's own.
  const errors = stderr.split('\n').filter((line) => line.includes('CONSOLE'));
  assert.deepEqual(errors, [], 'the console has no errors');
  return stdout;
}

/** `url` is the page's, and `health` the port of an endpoint on every address. */
function checkText(page: string, url: string, health: number): void {
  assert.match(page, /<title>nodens[^<]*<\/title>/, 'no name ran as a script');
  assert.match(page, /<dt>queries a second<\/dt><dd>[1-9]/);
  assert.match(page, /&lt;script&gt;document\.title=/);
  const link = `<a href="http://127.0.0.1:${health}/health">http://:${health}/health</a>`;
  assert.ok(
    page.includes(link),
    'the script links to the endpoint, also after it fetched the page',
  );
  assert.ok(page.includes(`<a href="${url}">`));
}

async function main(out: string): Promise<void> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const health = await freePort();
  const agent = new OperatedAgent({ more: `status 127.0.0.1:${port}\n  health :${health}` });
  let turn = 0;
  const asking = setInterval(() => {
    agent.query(NAMES[turn++ % NAMES.length] ?? '', A).catch(() => undefined);
  }, 20);
  try {
    await agent.start();
    // The first page begins to look at queries.
    await (await fetch(url)).text();
    for (const { name, width, height, flags } of VIEWS) {
      const picture = join(out, `nodens-status-${name}.png`);
      await chromium(url, [
        `--window-size=${width},${height}`,
        `--screenshot=${picture}`,
        ...flags,
      ]);
      process.stdout.write(`${picture}\n`);
    }
    checkText(await chromium(url, ['--dump-dom']), url, health);
    process.stdout.write('ok: no error in the console\n');
  } finally {
    clearInterval(asking);
    await agent.remove();
  }
}

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) process.stdout.write(HELP);
else {
  if (!hasProgram('chromium')) installPackages(['chromium']);
  await main(values.out);
}
