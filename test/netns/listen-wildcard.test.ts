/** A block without `bind`, as built: addresses added later, and addresses that are local by route only. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  canMakeNetns,
  eventually,
  type Netns,
  sayLeftOut,
  withNetns,
} from '../support/netns/netns.ts';

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const NODENS = path('../../dist/agent/main.js');
const BLOCKED = path('../support/server/blocked-replies.ts');

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodens-wildcard-'));
});
after(() => rmSync(folder, { recursive: true }));

/** The status of an answer that comes from `server`, or dig's error. */
async function ask(space: Netns, server: string, ...options: string[]): Promise<string> {
  const args = [`@${server}`, 'x.test', '+time=5', '+tries=1', ...options];
  const text = await space.run('dig', args).catch((error: Error) => error.message);
  return /status: ([A-Z]+)/.exec(text)?.[1] ?? text;
}

async function assertServed(space: Netns, ...servers: string[]): Promise<void> {
  for (const server of servers)
    for (const options of [[], ['+tcp']])
      assert.equal(await ask(space, server, ...options), 'NOERROR', `${server} ${options.join()}`);
}

/** Runs `work` beside an agent with `corefile`. */
async function withAgent(
  corefile: string,
  env: Readonly<Record<string, string>>,
  work: (space: Netns, log: () => string) => Promise<void>,
): Promise<void> {
  await withNetns(['node'], async (space) => {
    const file = join(folder, 'Corefile');
    writeFileSync(file, corefile);
    const agent = space.start(process.execPath, [NODENS, 'agent', '-conf', file], env);
    await eventually('the agent serves', () => agent.output().includes('"serving"'), 30_000);
    await work(space, agent.output);
  });
}

/** `ip` for either family. */
const ip = (space: Netns, address: string, ...words: string[]): Promise<string> =>
  space.run('ip', [address.includes(':') ? '-6' : '-4', ...words]);

async function addAddress(space: Netns, address: string): Promise<void> {
  const isV6 = address.includes(':');
  const own = [`${address}/${isV6 ? 128 : 32}`, 'dev', 'lo', ...(isV6 ? ['nodad'] : [])];
  await ip(space, address, 'addr', 'add', ...own);
}

const LATER = ['10.9.9.9', 'fd00:9::9'];
const BY_ROUTE = ['127.0.0.10', '10.8.0.7', 'fd00:1::77'];

async function addRoutes(space: Netns): Promise<void> {
  for (const network of ['10.8.0.0/24', 'fd00:1::/64'])
    await ip(space, network, 'route', 'add', 'local', network, 'dev', 'lo');
}

if (!canMakeNetns()) sayLeftOut('listen-wildcard');
else
  describe('a block without bind', { timeout: 400_000 }, () => {
    for (const bind of ['', 'bind 0.0.0.0', 'bind ::'])
      it(`serves the current addresses at any time (${bind || 'no bind'})`, () =>
        withAgent(`. {\n${bind}\nwhoami\n}\n`, {}, async (space) => {
          await assertServed(space, '127.0.0.1', '::1');
          for (const address of LATER) await addAddress(space, address);
          await addRoutes(space);
          // The addresses are served at once, without a wait.
          await assertServed(space, ...LATER, ...BY_ROUTE);
        }));

    it('serves IPv4 addresses of a node without IPv6', () =>
      withNetns(['node'], async (space) => {
        await space.run('sysctl', ['-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
        const file = join(folder, 'Corefile');
        writeFileSync(file, '. {\nwhoami\n}\n');
        const agent = space.start(process.execPath, [NODENS, 'agent', '-conf', file]);
        await eventually('the agent serves', () => agent.output().includes('"serving"'), 30_000);
        await assertServed(space, '127.0.0.10');
      }));

    it('without the addon: serves new addresses of interfaces within seconds, and logs it', () =>
      withAgent('. {\nwhoami\n}\n', { NODENS_UDP: 'dgram' }, async (space, log) => {
        await assertServed(space, '127.0.0.1', '::1');
        assert.match(
          log(),
          /"listener":":53".*cannot open one socket for all addresses \(the addon is not used\)/,
        );
        for (const address of LATER) {
          await addAddress(space, address);
          await eventually(
            `${address} is served`,
            async () => (await ask(space, address, '+time=1')) === 'NOERROR',
            60_000,
          );
          await assertServed(space, address);
        }
      }));

    it('serves all other addresses if another server has one', () =>
      withNetns(['node'], async (space) => {
        const holder = `require('net').createServer().listen(53, '127.0.0.53', () => console.log('taken'))`;
        const other = space.start(process.execPath, ['-e', holder]);
        await eventually('the port is taken', () => other.output().includes('taken'));
        const file = join(folder, 'Corefile');
        writeFileSync(file, '. {\nwhoami\n}\n');
        const agent = space.start(process.execPath, [NODENS, 'agent', '-conf', file]);
        await eventually('the agent serves', () => agent.output().includes('"serving"'), 30_000);
        await assertServed(space, '127.0.0.1', '::1');
        assert.match(
          agent.output(),
          /cannot open one socket for all addresses \(cannot bind 0\.0\.0\.0:53\/tcp/,
        );
      }));

    it('answers from the asked address, also after a wait for buffer space', () =>
      withNetns(['node'], async (space) => {
        await addRoutes(space);
        const slow = 'root tbf rate 100mbit burst 100k limit 10m'.split(' ');
        await space.run('tc', ['qdisc', 'add', 'dev', 'lo', ...slow]);
        for (const [bound, asked] of [
          ['0.0.0.0', '127.0.0.10'],
          ['::', 'fd00:1::77'],
        ] as const) {
          const printed = await space.run(process.execPath, [BLOCKED, bound]);
          assert.equal(printed.trim(), `${asked} 12 0`);
        }
      }));
  });
