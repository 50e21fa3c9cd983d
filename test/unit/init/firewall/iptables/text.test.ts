import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  claimOf,
  EMPTY_TABLE,
  editsOf,
  isKept,
  isOfAnother,
  orphanCandidates,
  ownChains,
  parseSaved,
  removalEdits,
  standingLines,
} from '../../../../../init/firewall/iptables/text.ts';
import { allRules, desiredRules } from '../../../../../init/plan/desired-rules.ts';
import { planOf } from '../../../../../init/plan/plan.ts';
import { INTERCEPTING, PLAN_BASICS } from '../../fake-system.ts';

const plan = planOf({
  localIps: ['169.254.20.10'],
  ...PLAN_BASICS,
});
const rules = allRules(plan);
const wanted = ownChains('raw', rules, EMPTY_TABLE);
const always = (): boolean => true;

/** What `iptables-save` would print after these edits were restored into an empty table. */
function afterRestore(edits: readonly string[]): string {
  const chains = edits.filter((line) => line.startsWith(':'));
  const jumps = edits
    .filter((line) => line.startsWith('-I'))
    .map((l) => l.replace(/^-I (\S+) 1/, '-A $1'));
  const added = edits.filter((line) => line.startsWith('-A'));
  const quoted = added.map((line) => line.replace(/--comment (\S+)/, '--comment "$1"'));
  const base = [':PREROUTING ACCEPT [1:2]', ':OUTPUT ACCEPT [0:0]'];
  return ['# by test', '*raw', ...base, ...chains, ...jumps, ...quoted, 'COMMIT', ''].join('\n');
}

describe('iptables text', () => {
  it('reads one table out of a dump of many', () => {
    const dump = `${afterRestore([])}*filter\n:INPUT DROP [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n`;
    assert.deepEqual([...parseSaved(dump, 'raw').policies.keys()], ['PREROUTING', 'OUTPUT']);
    const filter = parseSaved(dump, 'filter');
    assert.equal(filter.policies.get('INPUT'), 'DROP');
    assert.deepEqual(filter.rules.get('INPUT'), ['-A INPUT -j ACCEPT']);
    assert.deepEqual(parseSaved('', 'raw'), EMPTY_TABLE);
  });

  it('only query rules in PREROUTING have the socket match', () => {
    const lines = wanted.flatMap((chain) => chain.lines);
    const bound = lines.filter((line) => line.includes('-m socket'));
    assert.equal(bound.length, 2);
    assert.ok(bound.every((line) => line.startsWith('-A NODENS-QUERY-PREROUTING ')));
  });

  it('rules for kept local IPs are in the standing chains, and the claim omits these IPs', () => {
    const others = desiredRules(plan, { ...INTERCEPTING, keptIps: ['10.96.0.10'] });
    const chains = ownChains('raw', others, EMPTY_TABLE);
    const saved = parseSaved(afterRestore(editsOf(EMPTY_TABLE, chains, always)), 'raw');
    const standing = standingLines(saved);
    assert.ok(standing.some((line) => /10\.96\.0\.10 .*nodens:left-reply-udp4/.test(line)));
    assert.ok(standing.every((line) => line.startsWith('-A NODENS-STANDING-OUTPUT ')));
    const isKeptFor = ({ standing: needed, kept }: typeof rules): boolean =>
      isKept('raw', needed, kept, saved);
    assert.equal(isKeptFor(others), true);
    const removed = desiredRules(plan, { ...INTERCEPTING, removedIps: ['10.96.0.10'] });
    assert.equal(isKeptFor(removed), false);
    assert.equal(claimOf(wanted, others.kept), claimOf(wanted, rules.kept));
    assert.notEqual(claimOf(wanted, removed.kept), claimOf(wanted, rules.kept));
    const elsewhere = allRules(planOf({ ...PLAN_BASICS, localIps: ['10.96.0.99'] }));
    assert.equal(isKeptFor(elsewhere), false, 'rules without our own local IP were kept');
  });

  it('fills an empty table, and then finds nothing to change', () => {
    const edits = editsOf(EMPTY_TABLE, wanted, always);
    assert.deepEqual(
      edits.filter((line) => line.startsWith('-I')),
      [
        '-I PREROUTING 1 -m comment --comment nodens -j NODENS-QUERY-PREROUTING',
        '-I OUTPUT 1 -m comment --comment nodens -j NODENS-QUERY-OUTPUT',
        '-I OUTPUT 1 -m comment --comment nodens -j NODENS-STANDING-OUTPUT',
      ],
    );
    assert.deepEqual(editsOf(parseSaved(afterRestore(edits), 'raw'), wanted, always), []);
  });

  it('declares no base chain, because iptables-restore would flush it', () => {
    const edits = editsOf(EMPTY_TABLE, wanted, () => false);
    assert.ok(edits.filter((l) => l.startsWith(':')).every((l) => l.startsWith(':NODENS-')));
  });

  it('repairs a flushed chain, a deleted jump and a duplicate jump, and only those', () => {
    const text = afterRestore(editsOf(EMPTY_TABLE, wanted, always));
    const repair = (damaged: string): string[] =>
      editsOf(parseSaved(damaged, 'raw'), wanted, always);

    const flushed = repair(text.replaceAll(/^-A NODENS-STANDING-OUTPUT .*\n/gm, ''));
    const whole = editsOf(EMPTY_TABLE, wanted, always).filter((line) => !line.startsWith('-I'));
    assert.deepEqual(
      flushed,
      whole,
      'not all chains are repaired: two inits could leave half of each',
    );

    const jump = '-A PREROUTING -m comment --comment nodens -j NODENS-QUERY-PREROUTING';
    assert.deepEqual(repair(text.replace(`${jump}\n`, '')), [
      jump.replace('-A PREROUTING', '-I PREROUTING 1'),
    ]);
    const doubled = text.replace('COMMIT', `${jump}\nCOMMIT`);
    assert.deepEqual(repair(doubled), [jump.replace('-A', '-D')]);
  });

  it('replaces a rule whose text has changed and whose name has not', () => {
    const text = afterRestore(editsOf(EMPTY_TABLE, wanted, always));
    const other = allRules(planOf({ ...PLAN_BASICS, localIps: ['169.254.20.11'] }));
    const edits = editsOf(parseSaved(text, 'raw'), ownChains('raw', other, EMPTY_TABLE), always);
    assert.deepEqual(
      edits.filter((line) => line.startsWith(':')),
      [...wanted.map(({ name }) => name), 'NODENS-DECLARES'].map((name) => `:${name} - [0:0]`),
    );
  });

  it('replaces chains of another version at first, and later only if they are damaged', () => {
    const other = allRules(planOf({ ...PLAN_BASICS, localIps: ['169.254.20.11'] }));
    const theirs = ownChains('raw', other, EMPTY_TABLE);
    const text = afterRestore(editsOf(EMPTY_TABLE, theirs, always));
    const saved = parseSaved(text, 'raw');
    const withdrawn = wanted.filter(({ name }) => name.includes('STANDING'));
    for (const ours of [wanted, withdrawn]) {
      assert.equal(isOfAnother(saved, ours), true);
      assert.notDeepEqual(editsOf(saved, ours, always), []);
      assert.deepEqual(editsOf(saved, ours, always, true), []);
    }
    assert.equal(isOfAnother(saved, theirs), false);

    const whole = editsOf(EMPTY_TABLE, wanted, always).filter((line) => !line.startsWith('-I'));
    for (const damage of [
      /^-A NODENS-STANDING-OUTPUT .*\n/m,
      /^-A OUTPUT .*-j NODENS-STANDING-OUTPUT\n/m,
      /^-A NODENS-DECLARES .*\n/m,
    ]) {
      const damaged = parseSaved(text.replace(damage, ''), 'raw');
      assert.equal(isOfAnother(damaged, wanted), false, `${damage}`);
      const repair = editsOf(damaged, wanted, always, true);
      assert.deepEqual(
        repair.filter((line) => !line.startsWith('-I')),
        whole,
      );
    }
  });

  it('removes the declaration with the last chain', () => {
    const saved = parseSaved(afterRestore(editsOf(EMPTY_TABLE, wanted, always)), 'raw');
    assert.match(
      editsOf(EMPTY_TABLE, wanted, always).find((line) => line.startsWith('-A NODENS-D')) ?? '',
      /^-A NODENS-DECLARES -m comment --comment nodens-[0-9a-f]{8}$/,
    );
    assert.deepEqual(editsOf(saved, [], always).slice(-2), [
      '-F NODENS-DECLARES',
      '-X NODENS-DECLARES',
    ]);
    assert.ok(removalEdits(saved).includes('-X NODENS-DECLARES'));
  });

  it('TCP query rules match only a SYN with the SYN mark', () => {
    const lines = wanted.flatMap((chain) => chain.lines);
    const opening = lines.filter((line) =>
      / --tcp-flags FIN,SYN,RST,ACK SYN -m mark --mark 0x1000\/0x1000 /.test(line),
    );
    assert.equal(opening.length, 2);
    assert.ok(opening.every((line) => line.startsWith('-A NODENS-QUERY-')));
    const every = ownChains(
      'raw',
      desiredRules(plan, { ...INTERCEPTING, hasTcpAffinity: false }),
      EMPTY_TABLE,
    );
    assert.ok(every.flatMap((chain) => chain.lines).every((line) => !line.includes('--tcp-flags')));
  });

  it('withdrawal removes the query chains and their jumps', () => {
    const text = afterRestore(editsOf(EMPTY_TABLE, wanted, always));
    const standing = ownChains('raw', { ...rules, query: [] }, EMPTY_TABLE);
    const edits = editsOf(parseSaved(text, 'raw'), standing, always);
    const left = edits.filter((line) => !/^(:|-A)/.test(line));
    assert.deepEqual(left, [
      '-D PREROUTING -m comment --comment nodens -j NODENS-QUERY-PREROUTING',
      '-F NODENS-QUERY-PREROUTING',
      '-X NODENS-QUERY-PREROUTING',
      '-D OUTPUT -m comment --comment nodens -j NODENS-QUERY-OUTPUT',
      '-F NODENS-QUERY-OUTPUT',
      '-X NODENS-QUERY-OUTPUT',
    ]);
  });

  it('records the base chains that it has created', () => {
    const edits = editsOf(EMPTY_TABLE, wanted, (base) => base === 'OUTPUT');
    assert.equal(edits[0], ':NODENS-MADE-PREROUTING - [0:0]');
    const saved = parseSaved(afterRestore(edits), 'raw');
    assert.deepEqual([...orphanCandidates(saved)], ['PREROUTING']);
    assert.deepEqual(editsOf(saved, wanted, always), []);
    const removal = removalEdits(saved);
    assert.ok(removal.includes('-X NODENS-MADE-PREROUTING'));
  });

  it('has ACCEPT rules only in a chain whose policy drops', () => {
    const saved = parseSaved(
      '*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n',
      'filter',
    );
    const names = ownChains('filter', rules, saved).map((chain) => chain.name);
    assert.deepEqual(names, ['NODENS-ACCEPT-INPUT']);
    assert.deepEqual(ownChains('filter', rules, EMPTY_TABLE), []);
  });

  it('cleanup removes rules of node-local-dns, and no other rules', () => {
    const theirs = '-A OUTPUT -p tcp -m comment --comment "allow DNS traffic" -j ACCEPT';
    const left = [
      '-A PREROUTING -d 169.254.20.10/32 -p udp -m udp --dport 53 -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK',
      '-A OUTPUT -s 169.254.20.10/32 -p tcp -m tcp --sport 53 -m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT',
    ];
    const saved = parseSaved(['*raw', ...left, theirs, 'COMMIT'].join('\n'), 'raw');
    assert.deepEqual(
      removalEdits(saved),
      left.map((line) => line.replace('-A', '-D')),
    );
    assert.deepEqual([...orphanCandidates(saved)], ['PREROUTING', 'OUTPUT']);
  });
});
