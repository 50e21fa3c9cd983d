import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadBackError } from '../../../../../init/firewall/backend.ts';
import { type Table, tableText } from '../../../../../init/firewall/nft/table.ts';
import { TableSync } from '../../../../../init/firewall/nft/table-sync.ts';
import { failure, fakeSystem } from '../../fake-system.ts';

const NAME = 'nodens_standing_main';
const SET = { name: 'flows4', text: 'type ipv4_addr; size 4;' };

function table(port: number, sets: Table['sets'] = []): Table {
  const rule = { id: 'reply', match: `udp sport ${port}`, action: 'notrack' };
  const base = { type: 'filter', hook: 'output', priority: -300 } as const;
  return { name: NAME, sets, chains: [{ name: 'output', ...base, rules: [rule] }] };
}

/** The output of `nft -a list table` for a table of `tableText`. */
function listed(wanted: Table): string {
  return tableText(wanted)
    .replaceAll(/^ {4}(\S.*comment .*)$/gm, '\t\t$1 # handle 7')
    .replaceAll(/^ {2}(chain|set) (\S+) {$/gm, '\t$1 $2 { # handle 3');
}

/** A kernel whose table NAME is `text`, and after a write what `takes` returns. */
function kernel(text: string | undefined, takes: (script: string) => string | undefined) {
  const node = { text };
  const reported: string[] = [];
  const scripts: string[] = [];
  const { system } = fakeSystem((command, input) => {
    if (command === 'nft -f -') {
      scripts.push(input);
      node.text = takes(input);
      return undefined;
    }
    return node.text ?? failure(command, 'Error: No such file or directory\n');
  });
  const sync = new TableSync(system, (name) => void reported.push(name));
  return { node, reported, scripts, sync };
}

describe('a standing table', () => {
  const [ours, theirs] = [table(53), table(5353)];

  it('is written if it is missing, and not if it is right', async () => {
    const { scripts, sync } = kernel(undefined, () => listed(ours));
    assert.equal(await sync.apply([ours]), true);
    assert.equal(await sync.apply([ours]), false);
    assert.equal(scripts.length, 1);
  });

  it('of another version is replaced once, when init starts', async () => {
    const { scripts, reported, sync } = kernel(listed(theirs), () => listed(ours));
    assert.equal(await sync.apply([ours]), true);
    assert.equal(scripts.length, 1);
    assert.deepEqual(reported, []);
  });

  it('is kept and reported once if another version wrote it later', async () => {
    const { node, scripts, reported, sync } = kernel(listed(ours), () => listed(ours));
    await sync.apply([ours]);
    node.text = listed(theirs);
    assert.equal(await sync.apply([ours]), false);
    assert.equal(await sync.apply([ours]), false);
    assert.deepEqual([scripts, reported], [[], [NAME]]);
  });

  it('of another instance is kept if it names all needed and no removed local IPs', async () => {
    const reply = (ips: string): Table => {
      const rule = { id: 'reply', match: `udp sport 53 ip saddr { ${ips} }`, action: 'notrack' };
      const chains = ours.chains.map((chain) => ({ ...chain, rules: [rule] }));
      return { ...ours, chains };
    };
    const wanted = {
      ...reply('10.0.0.1'),
      claim: { text: 'mine', needs: ['10.0.0.1'], shuns: [] },
    };
    for (const [theirs, shuns, isRight] of [
      ['10.0.0.2, 10.0.0.1', [], true],
      ['10.0.0.2', [], false],
      ['10.0.0.2, 10.0.0.1', ['10.0.0.2'], false],
    ] as const) {
      const { node, sync } = kernel(listed(wanted), () => listed(wanted));
      await sync.apply([wanted]);
      node.text = listed(reply(theirs));
      const claim = { ...wanted.claim, shuns };
      assert.equal(await sync.apply([{ ...wanted, claim }]), !isRight, `${theirs} ${shuns}`);
    }
  });

  it('loses a set that is not wanted any more, and keeps the elements of the others', async () => {
    const both = table(53, [SET, { ...SET, name: 'flows6' }]);
    const { scripts, sync } = kernel(listed(both), () => listed(table(53, [SET])));
    assert.equal(await sync.apply([table(53, [SET])]), true);
    assert.match(
      scripts[0] ?? '',
      /delete chain [\s\S]*\ndelete set inet nodens_standing_main flows6\n/,
    );
    assert.doesNotMatch(scripts[0] ?? '', /delete (set .* flows4|table)/);
  });

  it('is repaired if it differs from what its writer declared', async () => {
    for (const damage of [/^.*comment.*\n/m, /declared_\w+/, /nodens:reply:/]) {
      const { node, scripts, sync } = kernel(listed(ours), () => listed(ours));
      await sync.apply([ours]);
      node.text = listed(theirs).replace(damage, '');
      assert.equal(await sync.apply([ours]), true, `${damage}`);
      assert.equal(scripts.length, 1);
    }
  });

  it('is restored if it is missing, and deleted if it is not wanted any more', async () => {
    const { node, scripts, sync } = kernel(listed(ours), (script) =>
      script.includes('chain output') ? listed(ours) : undefined,
    );
    await sync.apply([ours]);
    node.text = undefined;
    assert.equal(await sync.apply([ours]), true);
    assert.equal(await sync.apply([{ name: NAME, chains: [] }]), true);
    assert.equal(node.text, undefined);
    assert.match(scripts[1] ?? '', /^add table inet \S+\ndelete table inet \S+\n$/);
  });

  it('is written when other rules are wanted, even if another version wrote last', async () => {
    const { node, scripts, sync } = kernel(listed(ours), () => listed(table(54)));
    await sync.apply([ours]);
    node.text = listed(theirs);
    assert.equal(await sync.apply([table(54)]), true);
    assert.equal(scripts.length, 1);
  });

  it('is written once more if another instance writes at the same moment', async () => {
    let writes = 0;
    const { scripts, sync } = kernel(undefined, () => (writes++ === 0 ? undefined : listed(ours)));
    assert.equal(await sync.apply([ours]), true);
    assert.equal(scripts.length, 2);
  });

  it('is an error if another program changes it during the write', async () => {
    const { sync } = kernel(undefined, () => listed(ours).replace(/nodens:reply:/, ''));
    await assert.rejects(sync.apply([ours]), ReadBackError);
  });

  it('keeps the elements of its sets when its rules change', async () => {
    const [before, after] = [table(53, [SET]), table(54, [SET])];
    const { scripts, sync } = kernel(listed(before), () => listed(after));
    assert.equal(await sync.apply([after]), true);
    const [script = ''] = scripts;
    assert.match(script, /^flush table inet nodens_standing_main\ndelete chain inet \S+ declared_/);
    assert.match(script, /delete chain inet nodens_standing_main output\ntable inet /);
    assert.doesNotMatch(script, /delete table/);
  });

  it('loses the elements if the kernel refuses to keep them', async () => {
    const after = table(54, [SET]);
    const { system, calls } = fakeSystem((command, input) => {
      if (command !== 'nft -f -') {
        const isDone = calls.some((call) => call.input.includes('delete table'));
        return listed(isDone ? after : table(53, [SET]));
      }
      return input.startsWith('flush') ? failure(command, 'File exists') : undefined;
    });
    assert.equal(await new TableSync(system, () => undefined).apply([after]), true);
    const scripts = calls.filter(({ command }) => command === 'nft -f -');
    assert.deepEqual(
      scripts.map(({ input }) => input.split(' ', 1)[0]),
      ['flush', 'add'],
    );
  });
});
