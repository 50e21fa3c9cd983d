import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Ownership } from '../../../../init/firewall/nft/backend.ts';
import {
  type BackendWish,
  NoBackendError,
  selectBackend,
} from '../../../../init/firewall/select.ts';
import { CommandError } from '../../../../init/node/exec.ts';
import { allRules, desiredRules } from '../../../../init/plan/desired-rules.ts';
import { planOf } from '../../../../init/plan/plan.ts';
import { type Call, failure, fakeSystem, INTERCEPTING, PLAN_BASICS } from '../fake-system.ts';

const plan = planOf({
  ...PLAN_BASICS,
  localIps: ['169.254.20.10'],
  clusterIps: ['10.96.0.10'],
});
const rules = allRules(plan);

interface Host {
  /** First words of commands that fail. */
  readonly broken?: readonly string[];
  /** What the kernel rejects. */
  readonly refused?: RegExp;
  readonly legacyTables?: string;
  /** Listing of the table with which init tries `flags owner`. */
  readonly tried?: string;
  readonly legacyRules?: string;
}

async function choose(host: Host, wish: BackendWish = 'auto', ownership?: Ownership) {
  const { system, calls } = fakeSystem(
    (command, input) => {
      if (command === 'nft --check -f -' && host.refused?.test(input))
        return failure(command, 'Error: Could not process rule: Operation not supported');
      if (host.broken?.some((start) => command.startsWith(start)))
        return failure(command, `${command.split(' ')[0]}: cannot\nmore`);
      if (command.endsWith('inet nodens_try_one')) return host.tried ?? '';
      return command.startsWith('iptables-legacy-save')
        ? (host.legacyRules ?? '')
        : '{"nftables":[]}';
    },
    { '/proc/net/ip_tables_names': host.legacyTables ?? '' },
  );
  const remarks: string[] = [];
  const firewall = await selectBackend(system, wish, rules, ownership, {
    foreign: () => undefined,
    without: (what) => void remarks.push(what),
  });
  return { firewall, calls, remarks };
}

function touchesLegacy(calls: readonly Call[]): string[] {
  const commands = calls.map(({ command }) => command);
  return commands.filter((c) => /legacy/.test(c) && c !== 'iptables-legacy --version');
}

describe('choice of the backend', () => {
  it('is nft if `nft --check` succeeds, and legacy tables are not read', async () => {
    const { firewall, calls } = await choose({});
    assert.equal(firewall.name, 'nft');
    assert.equal(firewall.reason, 'nft works here');
    assert.ok(calls.some(({ command }) => command === 'nft --check -f -'));
    assert.deepEqual(touchesLegacy(calls), []);
  });

  it('is also nft beside legacy tables', async () => {
    const { firewall } = await choose({
      legacyTables: 'nat\n',
      legacyRules: '-A OUTPUT -j ACCEPT',
    });
    assert.equal(firewall.name, 'nft');
  });

  it('is iptables-nft if nft does not work, and the reason has the error of nft', async () => {
    const { firewall } = await choose({ broken: ['nft '] });
    assert.equal(firewall.name, 'iptables-nft');
    assert.match(
      firewall.reason,
      /nft --check -f -: exit code 1: nft: cannot; legacy iptables is not/,
    );
  });

  it('is iptables-legacy if a legacy table has rules', async () => {
    const host = { broken: ['nft '], legacyTables: 'nat\n', legacyRules: '*nat\n-A OUTPUT -j X\n' };
    assert.equal((await choose(host)).firewall.name, 'iptables-legacy');
    assert.equal(
      (await choose({ ...host, broken: [] }, 'iptables')).firewall.name,
      'iptables-legacy',
    );
  });

  it('is iptables-nft if no legacy table has rules', async () => {
    const host = { legacyTables: 'raw\n', legacyRules: '*raw\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n' };
    assert.equal((await choose(host, 'iptables')).firewall.name, 'iptables-nft');
  });

  it('is iptables-legacy where the kernel has no nf_tables', async () => {
    const { firewall } = await choose({ broken: ['nft ', 'iptables-nft '] });
    assert.equal(firewall.name, 'iptables-legacy');
  });

  it('is decided by the kernel alone: an nft that was killed for memory is tried again by each pass', async () => {
    const { system } = fakeSystem((command) =>
      command === 'nft --check -f -'
        ? new CommandError(command, undefined, '', true)
        : '{"nftables":[]}',
    );
    const firewall = await selectBackend(system, 'auto', rules, undefined);
    assert.equal(firewall.name, 'nft');
    assert.equal(firewall.hasFallback, true);
  });

  it('a wish that cannot be met is an error, not a substitute', async () => {
    await assert.rejects(choose({ broken: ['nft '] }, 'nft'), NoBackendError);
    await assert.rejects(choose({ broken: ['nft ', 'iptables-'] }), NoBackendError);
  });

  /** An owner process that records its lines, and fails if `fails`. */
  function ownership(fails = false): { given: Ownership; lines: string[] } {
    const lines: string[] = [];
    const execute = async (line: string): Promise<void> => {
      lines.push(line);
      if (fails) throw failure('nft -i', 'Error: Operation not supported');
    };
    const owner = { execute, drop: async () => void lines.push('drop') };
    return { given: { owner, instance: 'one' }, lines };
  }

  it('owns its table if the kernel supports it, and deletes the trial table', async () => {
    const { given, lines } = ownership();
    const { firewall } = await choose({ tried: 'flags owner' }, 'auto', given);
    assert.equal(firewall.isOwner, true);
    assert.deepEqual(lines, [
      'add table inet nodens_try_one { flags owner; }',
      'delete table inet nodens_try_one',
    ]);
  });

  it('gives the reason if it does not own its table', async () => {
    const refused = ownership(true);
    const { firewall } = await choose({}, 'auto', refused.given);
    assert.equal(firewall.isOwner, false);
    assert.match(firewall.reason, /^nft works here, but no table can be owned: .*not supported/);
    assert.equal(refused.lines.at(-1), 'drop');
    const ignored = await choose({ tried: 'table inet x {' }, 'auto', ownership().given);
    assert.match(ignored.firewall.reason, /the kernel ignores the flag/);
  });

  it('has TCP affinity if nft works, and installs it before the rules that need it', async () => {
    for (const wish of ['auto', 'iptables'] as const) {
      const { firewall, calls } = await choose({}, wish);
      assert.match(firewall.explain(rules), /^table inet nodens_flows_main {/);
      assert.match(firewall.explain(rules), /(meta mark &|--mark) 0x1000/);
      await assert.rejects(firewall.apply(rules));
      const [first] = calls.filter(({ command }) => command === 'nft -f -');
      assert.match(first?.input ?? '', /table inet nodens_flows_main {/);
    }
    const { firewall } = await choose({ broken: ['nft --check'] });
    const { hasTcpAffinity } = firewall;
    assert.equal(hasTcpAffinity, false);
    const text = firewall.explain(desiredRules(plan, { ...INTERCEPTING, hasTcpAffinity }));
    assert.doesNotMatch(text, /flows|0x1000/);
    assert.match(text, /--dport 53 -m socket/);
  });

  it('has a fallback if nft can rewrite packets, with any backend for the others', async () => {
    assert.equal((await choose({}, 'iptables')).firewall.hasFallback, true);
    const without = await choose({ broken: ['nft --check'] });
    assert.equal(without.firewall.hasFallback, false);
  });

  it('reports what the kernel rejects, and omits first the zone, then the fallback', async () => {
    const zoneless = await choose({ refused: /zone/ });
    assert.equal(zoneless.firewall.hasFallback, true);
    const text = zoneless.firewall.explain(rules);
    assert.match(
      text,
      /ct state != untracked counter meta mark set meta mark \| 0x1000 ip daddr set/,
    );
    assert.doesNotMatch(text, /zone/);
    assert.deepEqual(zoneless.remarks, ['a conntrack zone for the fallback']);

    const { firewall, remarks } = await choose({ refused: /nodens_(fallback|flows)/ });
    assert.equal(firewall.hasFallback, false);
    assert.deepEqual(remarks, [
      'a memory of TCP connections',
      'a conntrack zone for the fallback',
      'the fallback',
    ]);
    assert.deepEqual((await choose({})).remarks, []);
  });
});
