import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Link, LinkError, removeLinks } from '../../../../init/node/link.ts';
import { failure, fakeLog, fakeSystem, type Script } from '../fake-system.ts';

const LO = { ifname: 'lo', flags: ['LOOPBACK', 'UP'], addr_info: [] };
const PLAN = { interfaceName: 'lo', addresses: ['169.254.20.10', 'fd00::a'] };

interface Shown {
  readonly ifname: string;
  readonly flags?: readonly string[];
  readonly ifalias?: string;
  readonly linkinfo?: { readonly info_kind: string };
  readonly addr_info: readonly object[];
}

function showing(links: readonly Shown[], other: Script = () => undefined): Script {
  return (command, input) =>
    command === 'ip -j -d addr show' ? JSON.stringify(links) : other(command, input);
}

async function ensure(plan: typeof PLAN, script: Script) {
  const { system, calls } = fakeSystem(script);
  const { log, lines } = fakeLog();
  const changed = await new Link(system.run, log, plan).ensure();
  const commands = calls.map(({ command }) => command).filter((c) => c !== 'ip -j -d addr show');
  return { changed, commands, lines };
}

describe('link', () => {
  it('adds addresses to lo that the kernel never uses as a source address', async () => {
    const { changed, commands } = await ensure(PLAN, showing([LO]));
    assert.equal(changed, true);
    assert.deepEqual(commands, [
      'ip addr add 169.254.20.10/32 dev lo scope host label lo:nodens',
      'ip addr add fd00::a/128 dev lo nodad preferred_lft 0',
    ]);
  });

  it('changes nothing if all addresses exist', async () => {
    const addr_info = [{ local: '169.254.20.10' }, { local: 'fd00::a' }];
    const { changed, commands } = await ensure(PLAN, showing([{ ...LO, addr_info }]));
    assert.equal(changed, false);
    assert.deepEqual(commands, []);
  });

  it('creates a dummy link with the given name and our alias, and brings it up', async () => {
    const { commands } = await ensure({ ...PLAN, interfaceName: 'nodelocaldns' }, showing([LO]));
    assert.deepEqual(commands, [
      'ip link add nodelocaldns type dummy',
      'ip link set dev nodelocaldns alias nodens',
      'ip link set dev nodelocaldns up',
      'ip addr add 169.254.20.10/32 dev nodelocaldns scope host',
      'ip addr add fd00::a/128 dev nodelocaldns nodad preferred_lft 0',
    ]);
  });

  it('brings up a link of node-local-dns, and gives its address scope host', async () => {
    const left = {
      ifname: 'nodelocaldns',
      flags: ['BROADCAST'],
      addr_info: [{ local: '169.254.20.10', prefixlen: 32, scope: 'global' }],
    };
    const { commands } = await ensure(
      { ...PLAN, interfaceName: 'nodelocaldns' },
      showing([LO, left]),
    );
    assert.deepEqual(commands, [
      'ip link set dev nodelocaldns up',
      'ip addr del 169.254.20.10/32 dev nodelocaldns',
      'ip addr add fd00::a/128 dev nodelocaldns nodad preferred_lft 0',
      'ip addr add 169.254.20.10/32 dev nodelocaldns scope host',
    ]);
  });

  it('uses lo if the kernel has no dummy links, and logs it once', async () => {
    const { system, calls } = fakeSystem(
      showing([LO], (command) =>
        command.includes('type dummy') ? failure(command, 'Error: Unknown device type.', 2) : '',
      ),
    );
    const { log, lines } = fakeLog();
    const link = new Link(system.run, log, { ...PLAN, interfaceName: 'own' });
    await link.ensure();
    await link.ensure();
    assert.equal(lines.filter((line) => line.startsWith('warn kernel has no dummy')).length, 1);
    assert.ok(calls.some(({ command }) => command.includes('169.254.20.10/32 dev lo ')));
  });

  it('has different error types for reading and adding', async () => {
    const deny: Script = (command) =>
      failure(command, 'RTNETLINK answers: Operation not permitted', 2);
    const type = (expected: string) => (error: unknown) =>
      error instanceof LinkError && error.type === expected && /exit code 2/.test(error.message);
    await assert.rejects(ensure(PLAN, deny), type('interface_check'));
    await assert.rejects(ensure(PLAN, showing([LO], deny)), type('interface_add'));
  });
});

describe('removal of links', () => {
  async function removed(links: readonly Shown[], plan = PLAN): Promise<string[]> {
    return removeLinks(fakeSystem(showing(links)).system.run, plan);
  }

  it('removes IPv4 addresses with our label, and deprecated IPv6 ones of the plan', async () => {
    const addr_info = [
      { local: '127.0.0.1', prefixlen: 8, scope: 'host', label: 'lo' },
      { local: '10.96.0.99', prefixlen: 32, scope: 'host', label: 'lo:nodens' },
      { local: '169.254.20.10', prefixlen: 32, scope: 'host', label: 'lo' },
      { local: 'fd00::a', prefixlen: 128, scope: 'global', deprecated: true },
      { local: 'fd00::b', prefixlen: 128, scope: 'global', deprecated: true },
    ];
    assert.deepEqual(await removed([{ ...LO, addr_info }]), [
      'ip addr del 10.96.0.99/32 dev lo',
      'ip addr del fd00::a/128 dev lo',
    ]);
  });

  it('leaves alone an address of the plan that another program added', async () => {
    const addr_info = [{ local: 'fd00::a', prefixlen: 128, scope: 'global' }];
    assert.deepEqual(await removed([{ ...LO, addr_info }]), []);
  });

  it('removes dummy links with our alias, with the given name, and of node-local-dns', async () => {
    const dummy = { flags: [], linkinfo: { info_kind: 'dummy' }, addr_info: [] };
    const links = [
      { ...dummy, ifname: 'nodelocaldns' },
      { ...dummy, ifname: 'other', ifalias: 'nodens' },
      { ...dummy, ifname: 'named' },
      { ...dummy, ifname: 'kube-ipvs0' },
    ];
    assert.deepEqual(await removed(links, { ...PLAN, interfaceName: 'named' }), [
      'ip link del dev nodelocaldns',
      'ip link del dev other',
      'ip link del dev named',
    ]);
  });

  it('removes only the addresses from a foreign link', async () => {
    const addr_info = [
      { local: '169.254.20.10', prefixlen: 32, scope: 'host' },
      { local: '192.0.2.1', prefixlen: 24, scope: 'global' },
    ];
    const link = { ifname: 'nodelocaldns', linkinfo: { info_kind: 'veth' }, addr_info };
    assert.deepEqual(await removed([link], { ...PLAN, interfaceName: 'nodelocaldns' }), [
      'ip addr del 169.254.20.10/32 dev nodelocaldns',
    ]);
  });
});

describe('addresses of earlier settings', () => {
  const there = [
    {
      ...LO,
      addr_info: [
        { local: '127.0.0.1', prefixlen: 8, scope: 'host', label: 'lo' },
        { local: '169.254.20.10', prefixlen: 32, scope: 'host', label: 'lo:nodens' },
        { local: '10.96.0.10', prefixlen: 32, scope: 'host', label: 'lo:nodens' },
        { local: '10.96.0.11', prefixlen: 32, scope: 'host', label: 'lo' },
        { local: 'fd00::b', prefixlen: 128, scope: 'global', deprecated: true },
        { local: 'fd00::c', prefixlen: 128, scope: 'global' },
      ],
    },
    {
      ifname: 'kube-ipvs0',
      flags: [],
      addr_info: [{ local: '10.96.0.10', prefixlen: 32, scope: 'global' }],
    },
  ];

  it('are found by our mark, and only addresses with a mark are removed', async () => {
    const { system, calls } = fakeSystem(showing(there));
    const link = new Link(system.run, fakeLog().log, PLAN);
    assert.deepEqual(await link.strays(), ['10.96.0.10']);
    const removed = await link.remove(['10.96.0.10', '10.96.0.11', 'fd00::b', 'fd00::c']);
    assert.deepEqual(removed, [
      'ip addr del 10.96.0.10/32 dev lo',
      'ip addr del fd00::b/128 dev lo',
    ]);
    const commands = calls.map(({ command }) => command);
    assert.deepEqual(
      commands.filter((command) => command.includes(' del ')),
      removed,
    );
  });
});
