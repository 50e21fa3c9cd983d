/** Hosts files of any size are read again beside queries, within the memory limit. */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type HostileAgent, type Ports, startAgent } from '../support/hostile/agent.ts';
import { besidePod, summary } from '../support/hostile/pod/neighbourhood.ts';
import { eventually } from '../support/netns/netns.ts';

const MEBI = 2 ** 20;
const POD = '127.0.0.8';
const LIMITS_MEBI = [128, 192];
/** Reading takes a fifth of the time; this allows for a busy machine. */
const PATIENCE_MS = 60_000;

/** Lines of one name each: with different addresses, or all with the blocking address. */
function hostsText(count: number, isBlocking: boolean, domain: string): string {
  const address = (i: number): string =>
    isBlocking ? '0.0.0.0' : `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
  return Array.from({ length: count }, (_, i) => `${address(i)} h${i}.${domain}\n`).join('');
}

const corefileWith =
  (file: string) =>
  ({ dns, metrics, upstream }: Ports): string =>
    `.:${dns} {
  bind 127.0.0.1
  errors
  cache
  prometheus 127.0.0.1:${metrics}
  hosts ${file} {
    reload 1s
    fallthrough
  }
  forward . 127.0.0.1:${upstream}
}
`;

/** Replaces the content of the file, and asks for cached names until `isDone`; no answer may be lost. */
async function reload(
  agent: HostileAgent,
  file: string,
  text: string,
  isDone: () => Promise<boolean>,
): Promise<void> {
  writeFileSync(`${file}.new`, text);
  let peakBytes = 0;
  const { hits } = await besidePod(agent.ports, POD, async () => {
    renameSync(`${file}.new`, file);
    await eventually(
      'the file is processed',
      () => {
        peakBytes = Math.max(peakBytes, agent.residentBytes);
        return isDone();
      },
      PATIENCE_MS,
    );
  });
  const { asked, lost } = hits;
  const size = `${(text.length / MEBI).toFixed(1)} MiB`;
  process.stdout.write(
    `# ${size}: at most ${(peakBytes / MEBI).toFixed(0)} MiB; hits ${summary(hits)}\n`,
  );
  assert.ok(agent.isRunning, 'the agent is alive');
  assert.equal(agent.oomKills, 0);
  assert.equal(lost, 0, `${lost} of ${asked} hits lost`);
}

for (const limitMebi of LIMITS_MEBI) {
  describe(`within ${limitMebi} MiB`, () => {
    it('large hosts files are added and removed, and a file that does not fit changes nothing', async (t) => {
      const dir = mkdtempSync(join(tmpdir(), 'nodens-hosts-'));
      t.after(() => rmSync(dir, { recursive: true }));
      const file = join(dir, 'hosts');
      writeFileSync(file, '10.0.0.1 a.test\n');
      const agent = await startAgent({ limitMebi, corefile: corefileWith(file) });
      t.after(() => agent.stop());
      const entries = (): Promise<number> => agent.metric('coredns_hosts_entries');
      const refused = (): Promise<number> => agent.metric('nodens_hosts_refused_total');
      await reload(
        agent,
        file,
        hostsText(40_000, false, 'ex.net'),
        async () => (await entries()) === 80_000,
      );

      // A blocklist of 10 MB. Its names have one address, which has PTR records for some of them.
      const isBlocking = async (): Promise<boolean> => (await entries()) > 300_000;
      await reload(agent, file, hostsText(300_000, true, 'tracker.example.com'), isBlocking);
      assert.equal(await refused(), 0);

      const limitBytes = await agent.metric('nodens_file_memory_limit_bytes');
      const heldBytes = await agent.metric('nodens_file_memory_bytes');
      assert.ok(heldBytes > 0 && heldBytes < limitBytes, `${heldBytes} of ${limitBytes}`);
      // Another list of the same size takes its place: for a while both are in memory.
      const other = `10.0.0.9 changed.test\n${hostsText(300_000, true, 'tracker.example.org')}`;
      const before = await entries();
      await reload(agent, file, other, async () => (await entries()) === before + 2);
      assert.equal(await refused(), 0);
      // Without a memory group there is no limit, and more memory than a test should fill.
      if (limitBytes > limitMebi * MEBI) return;
      const inForce = await entries();
      const isRefused = async (): Promise<boolean> => (await refused()) > 0;
      await reload(agent, file, hostsText(900_000, true, 'tracker.example.com'), isRefused);
      assert.equal(await entries(), inForce, 'the old one stays');
      assert.match(agent.log(), /keeping its former content: needs \d+ bytes .* \d+ are available/);
      await reload(agent, file, '10.0.0.2 a.test\n', async () => (await entries()) === 2);
    });
  });
}
