import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandHelp } from '../../../agent/base/commands/table.ts';
import { UsageError } from '../../../agent/base/errors.ts';
import { initOptionsFrom } from '../../../init/options.ts';

const LOCAL = '--localip=169.254.20.10';

describe('init options', () => {
  it('defaults are those of node-local-dns, with the addresses on lo', () => {
    assert.deepEqual(initOptionsFrom([LOCAL]), {
      mode: 'run',
      localIps: ['169.254.20.10'],
      port: 53,
      healthPort: 8080,
      interfaceName: 'lo',
      setupInterface: true,
      setupRules: true,
      skipTeardown: false,
      syncIntervalMs: 60_000,
      backend: 'auto',
      clusterDns: [],
      fallbackService: 'nodens-endpoints.kube-system.svc.cluster.local',
      fallbackMark: 0x1000,
      probePorts: { first: 20_253, last: 20_260 },
      force: false,
      socketPath: '/run/nodens/control.sock',
      stateDir: undefined,
      supervise: undefined,
    });
  });

  it('addresses of both families become canonical, without duplicates', () => {
    const { localIps } = initOptionsFrom([
      '--localip',
      '10.96.0.10, FD00:0::0A,10.96.0.10,fd00::a',
    ]);
    assert.deepEqual(localIps, ['10.96.0.10', 'fd00::a']);
  });

  for (const [text, ms] of [
    ['60', 60_000],
    ['60s', 60_000],
    ['1m', 60_000],
    ['1m30s', 90_000],
    ['60ns', 60_000],
  ] as const)
    it(`--syncinterval ${text} is ${ms} ms`, () => {
      assert.equal(initOptionsFrom([LOCAL, `--syncinterval=${text}`]).syncIntervalMs, ms);
    });

  it('boolean flags have the syntax of Go', () => {
    const flags = ['--setupinterface=false', '--setupiptables=F', '--skipteardown'];
    const options = initOptionsFrom([LOCAL, ...flags]);
    assert.equal(options.setupInterface, false);
    assert.equal(options.setupRules, false);
    assert.equal(options.skipTeardown, true);
    assert.equal(initOptionsFrom([LOCAL, '--setupinterface']).setupInterface, true);
    assert.equal(initOptionsFrom([LOCAL, '--skipteardown=0']).skipTeardown, false);
  });

  it('--port is the same flag as --dns.port, and --health-port=0 means no health port', () => {
    assert.equal(initOptionsFrom([LOCAL, '--dns.port=5353']).port, 5353);
    assert.equal(initOptionsFrom([LOCAL, '--port', '5354']).port, 5354);
    assert.equal(initOptionsFrom([LOCAL, '--health-port=0']).healthPort, undefined);
  });

  it('--fallback-service may end in a dot, and may be empty', () => {
    const of = (name: string) =>
      initOptionsFrom([LOCAL, '--fallback-service', name]).fallbackService;
    assert.equal(
      of('Dns-Pods.kube-system.svc.corp.example.'),
      'dns-pods.kube-system.svc.corp.example',
    );
    assert.equal(of(''), undefined);
  });

  it('the arguments after -- are those of the agent, unchanged', () => {
    const argv = [LOCAL, '--supervise', '--', 'agent', '-conf', '--cleanup', '--', '--bad'];
    assert.deepEqual(initOptionsFrom(argv).supervise, [
      'agent',
      '-conf',
      '--cleanup',
      '--',
      '--bad',
    ]);
  });

  it('--cleanup needs no address', () => {
    assert.equal(initOptionsFrom(['--cleanup']).mode, 'cleanup');
  });

  for (const [argv, reason] of [
    [[], /--localip is missing/],
    [['--localip', '169.254.20.10,'], /--localip: "" is not an IP address/],
    [['--localip', 'fe80::1%eth0'], /is not an IP address/],
    [[LOCAL, '--syncinterval=soon'], /--syncinterval: soon is not a time/],
    [[LOCAL, '--syncinterval=10ms'], /at least 1s/],
    [[LOCAL, '--dns.port=0'], /--dns.port: 0 is not a port/],
    [[LOCAL, '--health-port=99999'], /--health-port: 99999 is not a port/],
    [[LOCAL, '--interfacename=much-too-long-name'], /--interfacename/],
    [[LOCAL, '--interfacename=a/b'], /--interfacename/],
    [[LOCAL, '--setupinterface=perhaps'], /-setupinterface: "perhaps" is neither/],
    [[LOCAL, '--backend=ebpf'], /--backend: ebpf is none of auto, nft, iptables/],
    [[LOCAL, '--once', '--cleanup'], /--once and --cleanup exclude each other/],
    [
      [LOCAL, '--clusterdns=10.96.0.10,10.96.0.11'],
      /--clusterdns: more than one address of a family/,
    ],
    [[LOCAL, '--fallback-service=kube-dns'], /--fallback-service: kube-dns is not the full name/],
    [[LOCAL, '--fallback-service=a.b c.svc'], /is not the full name of a Service/],
    [[LOCAL, '--fallback-mark=0x3'], /--fallback-mark: 0x3 is not a single bit/],
    [[LOCAL, '--fallback-mark=0'], /not a single bit/],
    [[LOCAL, '--probe-port=65530'], /--probe-port: no 8 ports from 65530 on/],
    [[LOCAL, '--supervise'], /--supervise and -- AGENT-ARG… go together/],
    [[LOCAL, '--', 'agent'], /--supervise and --/],
    [[LOCAL, '--once', '--supervise', '--', 'agent'], /does not go with --once/],
    [[LOCAL, '--unheard-of'], /unknown flag --unheard-of/],
    [[LOCAL, 'word'], /unexpected argument "word"/],
  ] as const)
    it(`refuses ${argv.join(' ') || 'an empty command line'}`, () => {
      assert.throws(
        () => initOptionsFrom(argv),
        (error) => error instanceof UsageError && reason.test(error.message),
      );
    });

  it('accepts any value of --alive-mark of earlier versions, and ignores it', () => {
    for (const value of ['0x40', '6', '4096'])
      assert.deepEqual(initOptionsFrom([LOCAL, `--alive-mark=${value}`]), initOptionsFrom([LOCAL]));
  });

  it('the help names every flag', () => {
    const flags =
      'localip setupinterface setupiptables interfacename syncinterval health-port skipteardown dns.port port ' +
      'socket once cleanup observe backend supervise clusterdns fallback-service fallback-mark alive-mark probe-port force';
    for (const flag of flags.split(' ')) assert.ok(commandHelp('init').includes(`-${flag}`), flag);
  });
});
