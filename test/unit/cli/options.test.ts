import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_CONTROL_SOCKET } from '../../../agent/base/control.ts';
import { agentOptions, flagOr, parseFlags } from '../../../agent/cli/options.ts';

const optionsOf = (...argv: string[]) => agentOptions(parseFlags(argv, 'agent').values);

describe('agentOptions', () => {
  it('has the defaults of node-local-dns', () => {
    const options = optionsOf();
    assert.equal(options.basePath, '/etc/coredns/Corefile.base');
    assert.equal(options.upstreamService, 'kube-dns');
    assert.equal(options.port, 53);
    assert.equal(options.prometheusAddress, ':9253');
    assert.equal(options.confPath, undefined);
    assert.equal(options.socketPath, undefined);
  });

  it('splits, trims and dedupes -localip, of both families', () => {
    const { localIps } = optionsOf('-localip', '169.254.20.10, fd00::10,169.254.20.10');
    assert.deepEqual(localIps, ['169.254.20.10', 'fd00::10']);
  });

  it('expects init where there are local IPs', () => {
    assert.equal(optionsOf('-localip', '169.254.20.10').socketPath, DEFAULT_CONTROL_SOCKET);
    assert.equal(optionsOf('-localip', '169.254.20.10', '-socket', '/s').socketPath, '/s');
    assert.equal(optionsOf('-localip', '169.254.20.10', '-socket', '').socketPath, undefined);
    assert.equal(optionsOf('-localip', '169.254.20.10', '-without-init').socketPath, undefined);
  });

  it('has its admin socket where it is told, by flag before environment, or where it may', () => {
    const before = { ...process.env };
    try {
      delete process.env.NODENS_ADMIN_SOCKET;
      process.env.XDG_RUNTIME_DIR = '/run/user/7';
      const { adminSockets, isAdminSocketChosen } = optionsOf();
      assert.deepEqual(adminSockets, [
        '/run/nodens/admin.sock',
        '/run/nodens/agent/admin.sock',
        '/run/user/7/nodens/admin.sock',
      ]);
      assert.equal(isAdminSocketChosen, false);
      process.env.NODENS_ADMIN_SOCKET = '/env.sock';
      assert.deepEqual(optionsOf().adminSockets, ['/env.sock']);
      const given = optionsOf('-admin-socket', '/flag.sock');
      assert.deepEqual([given.adminSockets, given.isAdminSocketChosen], [['/flag.sock'], true]);
      assert.deepEqual(optionsOf('-admin-socket', '').adminSockets, []);
    } finally {
      process.env = before;
    }
  });

  it('accepts -corefile, which -conf overrides', () => {
    assert.equal(optionsOf('-corefile', '/a').confPath, '/a');
    assert.equal(optionsOf('-corefile', '/a', '-conf', '/b').confPath, '/b');
  });

  it('reads sizes as Kubernetes writes them', () => {
    assert.equal(optionsOf('-memory', '64Mi').memoryBytes, 64 * 2 ** 20);
  });

  it('treats -p and -dns.port as one flag', () => {
    assert.equal(optionsOf('-p', '5353').port, 5353);
    assert.equal(optionsOf('-dns.port=5354').port, 5354);
  });

  const faults: readonly (readonly [readonly string[], RegExp])[] = [
    [['-localip', '169.254.20.10,'], /-localip: "" is not an IP address/],
    [['-localip', 'node'], /-localip: "node" is not an IP address/],
    [['-without-init', '-socket', '/s'], /-without-init and -socket exclude each other/],
    [['-admin-socket', 'here'], /-admin-socket: "here" is not an absolute path/],
    [['-p', '0'], /-dns.port: "0" is not a port/],
    [['-memory', 'much'], /-memory: "much" is not a size/],
    [['-memory', '0'], /-memory: "0" is not a size/],
    [
      ['-metrics-listen-address', 'nowhere'],
      /-metrics-listen-address: "nowhere" is not an address/,
    ],
  ];
  for (const [argv, message] of faults) {
    it(`refuses ${argv.join(' ')}`, () => {
      assert.throws(() => optionsOf(...argv), { name: 'UsageError', message });
    });
  }
});

describe('parseFlags', () => {
  it('refuses a flag of the other program', () => {
    assert.throws(() => parseFlags(['-backend', 'nft'], 'agent'), /unknown flag -backend/);
    assert.throws(() => parseFlags(['-conf', 'x'], 'init'), /unknown flag -conf/);
  });

  it('gives a flag with a dash in its name', () => {
    const { values } = parseFlags(['-health-port=8081'], 'init');
    assert.equal(flagOr(values, 'health-port'), '8081');
    assert.equal(flagOr({}, 'health-port'), '8080');
  });
});
