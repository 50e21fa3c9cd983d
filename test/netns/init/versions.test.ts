/** Two versions of init on one node, as in a rolling update: their standing rules differ, and they do not overwrite each other. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { allowedMs } from '../../support/machine.ts';
import { startInit } from '../../support/netns/init.ts';
import {
  canMakeNetns,
  eventually,
  type Netns,
  type Started,
  sayLeftOut,
  withNetns,
} from '../../support/netns/netns.ts';
import { socketPath } from '../../support/netns/vip.ts';

const IP = '169.254.20.10';
/** Time for some periodic checks, one a second, and checks after each change. */
const ROUNDS_MS = 3_500;

/** Another version: with other probe ports its standing rules differ, and with one more local IP all rules differ. */
const OLD = ['--localip', IP, '--probe-port', '20253'];
const NEW = ['--localip', `${IP},10.96.0.10`, '--probe-port', '21000'];

interface Case {
  readonly backend: readonly string[];
  /** The standing rules with their handles, which differ after a rewrite. */
  readonly list: readonly [string, ...string[]];
  readonly damage: readonly [string, ...string[]];
}

const STANDING = ['inet', 'nodens_standing_main'];

const CASES: readonly Case[] = [
  {
    backend: [],
    list: ['nft', '-a', '-t', 'list', 'ruleset'],
    damage: ['nft', 'flush', 'chain', ...STANDING, 'output'],
  },
  {
    backend: ['--backend', 'iptables'],
    list: ['nft', '-a', '-t', 'list', 'ruleset'],
    damage: ['iptables-nft', '-t', 'raw', '-D', 'NODENS-STANDING-OUTPUT', '1'],
  },
];

async function started(node: Netns, flags: readonly string[]): Promise<Started> {
  const init = startInit(node, [...flags, '--syncinterval', '1s', '--socket', socketPath()]);
  await eventually('init is set up or has failed', () => /"msg":"set.up/.test(init.output()));
  assert.match(init.output(), /"msg":"set up"/);
  return init;
}

function countOf(init: Started, words: string): number {
  return init.output().split(words).length - 1;
}

/** Rules with handles, which increase with each write; without counters. */
async function rulesOf(node: Netns, [program, ...args]: Case['list']): Promise<string> {
  return (await node.run(program, args)).replaceAll(/packets \d+ bytes \d+/g, '');
}

async function expectRest(node: Netns, list: Case['list']): Promise<string> {
  const rules = await rulesOf(node, list);
  await setTimeout(ROUNDS_MS);
  assert.equal(await rulesOf(node, list), rules);
  return rules;
}

if (!canMakeNetns()) sayLeftOut('init-versions');
else
  describe('two versions of init on a node', { concurrency: false }, () => {
    for (const { backend, list, damage } of CASES)
      it(`the newer init writes once, the older does not change it ${backend.join(' ')}`, () =>
        withNetns(['node'], async (node) => {
          // Because this policy drops, our rules are in a chain of another program, too.
          await node.run('nft', ['-f', '-'], DROPPING);
          const old = await started(node, [...OLD, ...backend]);
          assert.match(await rulesOf(node, list), /sport 20253-20260/);
          const next = await started(node, [...NEW, ...backend]);
          // Both versions have rules in the chain of another program: those of the older one come back, once.
          await eventually('both versions have ACCEPT rules', async () =>
            OWN_ACCEPT.test(await rulesOf(node, list)),
          );
          const rules = await expectRest(node, list);
          assert.match(rules, /sport 21000-21007/);
          assert.doesNotMatch(rules, /sport 20253-20260/);

          const said = 'left a table of another nodens version';
          const lines = old.output().split('\n');
          const left = lines.filter((line) => line.includes(said));
          assert.ok(left.length > 0);
          assert.equal(new Set(left.map((line) => /"table":.*/.exec(line)?.[0])).size, left.length);
          assert.equal(countOf(next, said), 0);
          assert.deepEqual(
            [countOf(old, '"event":"rules-restored"'), countOf(next, '"event":"rules-restored"')],
            [1, 0],
          );

          await node.run(damage[0], damage.slice(1));
          const isRepaired = (): boolean =>
            countOf(old, '"event":"rules-restored"') + countOf(next, '"event":"rules-restored"') >
            1;
          await eventually('one init repairs the rules', isRepaired, await allowedMs(3_000));
          // Both inits get the event, and the second may start before the first has finished.
          await setTimeout(1_500);
          assert.match(await expectRest(node, list), /sport (21000-21007|20253-20260)/);

          next.kill('SIGTERM');
          assert.equal(await next.exited, 0);
          await expectRest(node, list);
          for (const init of [old, next]) assert.doesNotMatch(init.output(), /"level":"error"/);
        }));
  });

/** ACCEPT rules of the older version in the chain whose policy drops. */
const OWN_ACCEPT = /udp dport 53 ip daddr 169\.254\.20\.10 counter {2}accept/;

const DROPPING = `
table inet fw { chain in { type filter hook input priority 0; policy drop; iifname "lo" accept; }; }
`;
