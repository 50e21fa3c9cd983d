import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { main } from '../../../init/commands.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { failure, fakeLog, fakeSystem, type Script } from './fake-system.ts';

const ALL_CAPABILITIES = { '/proc/self/status': 'CapEff:\t000001ffffffffff\n' };
const LOCAL = ['--localip', '169.254.20.10,10.96.0.10'];

interface NodeParts {
  readonly script?: Script;
  readonly files?: Readonly<Record<string, string>>;
  readonly links?: readonly object[];
}

/** Runs the command line on a node where all programs work and nothing is set up. */
async function run(argv: readonly string[], parts: NodeParts = {}) {
  const { script = () => undefined, files = ALL_CAPABILITIES, links = [] } = parts;
  const { system, calls } = fakeSystem((command, input) => {
    const answer = script(command, input);
    if (answer !== undefined) return answer;
    if (command === 'ip -j link show') return JSON.stringify(links);
    if (command === 'ip -j -d addr show')
      return JSON.stringify([{ ifname: 'lo', flags: ['UP'], addr_info: [] }]);
    return command.startsWith('nft -j') ? '{"nftables":[]}' : undefined;
  }, files);
  const { log, lines } = fakeLog();
  const [out, errors]: [string[], string[]] = [[], []];
  const code = await main(argv, {
    ...{ system, log, clock: new FakeClock(), env: {} },
    print: (text) => void out.push(text),
    complain: (text) => void errors.push(text),
  });
  const commands = calls.map(({ command }) => command);
  return { code, calls, commands, lines, out: out.join(''), errors: errors.join('') };
}

/** Commands that change something. */
function changes({ calls }: { calls: readonly { command: string; input: string }[] }): string[] {
  return calls
    .map(({ command }) => command)
    .filter((command) => /^(nft -f|ip (addr|link) (add|del)|\S+-restore)/.test(command));
}

/** A kernel that lists the tables that nft was given. */
function rememberingKernel(): Script {
  const tables = new Map<string, string>();
  return (command, input) => {
    if (command === 'nft -f -')
      for (const [text, name = ''] of input.matchAll(/^table inet (\S+) \{.*?^\}/gms))
        tables.set(name, text.replaceAll(/(?<=comment "[^"]*")$/gm, ' # handle 1'));
    const [, listed] = /list table inet (\S+)$/.exec(command) ?? [];
    if (listed === undefined) return undefined;
    return tables.get(listed) ?? failure(command, 'Error: No such file or directory');
  };
}

describe('commands of init', () => {
  it('--help prints to standard output, even beside wrong flags', async () => {
    const { code, out, errors, calls } = await run(['--localip', 'nonsense', '--help']);
    assert.equal(code, 0);
    assert.match(out, /-localip IP/);
    assert.equal(errors, '');
    assert.deepEqual(calls, []);
  });

  it('--help after -- is an argument of the agent', async () => {
    const { code, errors } = await run(['--', '--help']);
    assert.equal(code, 2);
    assert.match(errors, /--supervise/);
  });

  it('a wrong command line is exit code 2, with the reason and the usage', async () => {
    const { code, errors, lines, calls } = await run(['--localip', 'nonsense']);
    assert.equal(code, 2);
    assert.match(errors, /^nodens init: --localip: "nonsense" is not an IP address\nusage: /);
    assert.deepEqual(lines, []);
    assert.deepEqual(calls, []);
  });

  it('a missing capability is exit code 1, is named in the log, and nothing changes', async () => {
    const files = { '/proc/self/status': 'CapEff:\t0000000000000000\n' };
    for (const mode of [['--once'], ['--cleanup'], []]) {
      const result = await run([...LOCAL, ...mode], { files });
      assert.equal(result.code, 1);
      assert.match(result.lines.join('\n'), /error CAP_NET_ADMIN is missing/);
      assert.deepEqual(changes(result), []);
    }
  });

  it('--observe needs no capability, prints addresses and rules, and changes nothing', async () => {
    const result = await run([...LOCAL, '--observe'], { files: {} });
    assert.equal(result.code, 0);
    assert.match(result.out, /^ip addr add 169\.254\.20\.10\/32 dev lo/m);
    assert.match(result.out, /^# backend nft: nft works here$/m);
    assert.match(result.out, /notrack/);
    assert.match(result.out, /\n$/);
    assert.deepEqual(changes(result), []);
  });

  it('--observe says that no program can install rules', async () => {
    const result = await run([...LOCAL, '--observe'], {
      script: (command) =>
        /^(nft|ip6?tables)/.test(command) ? failure(command, 'not found', 127) : undefined,
    });
    assert.equal(result.code, 0);
    assert.match(result.out, /^# no backend: /m);
  });

  it('--observe prints the reason instead of rules if the data path is eBPF', async () => {
    const result = await run([...LOCAL, '--observe'], { links: [{ ifname: 'cilium_host' }] });
    assert.match(result.out, /^# .*Cilium/);
    assert.doesNotMatch(result.out, /notrack/);
    const forced = await run([...LOCAL, '--observe', '--force'], {
      links: [{ ifname: 'cilium_host' }],
    });
    assert.match(forced.out, /notrack/);
  });

  it('--observe leaves the VIP to kube-proxy in IPVS mode', async () => {
    const links = [{ ifname: 'kube-ipvs0' }];
    const result = await run([...LOCAL, '--observe', '--clusterdns', '10.96.0.10'], { links });
    assert.match(result.out, /^# .*IPVS.*not for 10\.96\.0\.10$/m);
    const rules = result.out.split('\n').filter((line) => line.includes('query-pod'));
    assert.ok(rules.length > 0 && rules.every((line) => !line.includes('10.96.0.10')));
  });

  it('--once installs addresses, then rules, but no query rules that need an init', async () => {
    const result = await run([...LOCAL, '--once'], { script: rememberingKernel() });
    assert.deepEqual(
      result.lines.filter((line) => !line.startsWith('info ')),
      [],
    );
    assert.equal(result.code, 0);
    assert.ok(result.lines.includes('info set up'));
    const { calls } = result;
    const ofAddress = calls.findIndex(({ command }) => command.startsWith('ip addr add'));
    const ofRules = calls.findIndex(({ command }) => command.startsWith('nft -f'));
    assert.ok(ofAddress !== -1 && ofAddress < ofRules);
    const text = calls.map(({ command, input }) => (command.startsWith('nft -f') ? input : ''));
    assert.match(text.join(''), /query-pod/);
    assert.doesNotMatch(text.join(''), /query-host/);
  });

  it('--once is exit code 1 if an address or rule was not installed', async () => {
    const result = await run([...LOCAL, '--once'], {
      script: (command) =>
        command.startsWith('ip addr add') ? failure(command, 'no such device') : undefined,
    });
    assert.equal(result.code, 1);
    assert.ok(result.lines.includes('error set-up failed'));
    assert.ok(!result.lines.includes('info set up'));
  });

  it('--once logs that interception is limited in IPVS mode', async () => {
    const links = [{ ifname: 'kube-ipvs0' }];
    const { lines } = await run([...LOCAL, '--once'], { links });
    assert.ok(lines.includes('warn interception is limited on this node'));
  });

  it('--cleanup alone looks for everything that nodens may have installed', async () => {
    const { code, commands } = await run(['--cleanup']);
    assert.equal(code, 0);
    assert.ok(commands.includes('ip -j -d addr show'));
    assert.ok(commands.some((command) => command.startsWith('iptables-legacy')));
  });

  it('--cleanup is exit code 1 if a part of it failed', async () => {
    const { code, lines } = await run(['--cleanup'], {
      script: (command) =>
        command === 'ip -j -d addr show' ? failure(command, 'no permission') : undefined,
    });
    assert.equal(code, 1);
    assert.match(lines.join('\n'), /error .*no permission/);
  });
});
