/** The doctor beside an agent that was started without init, as in the pod of the overlay cilium. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ofAgentWithoutInit } from '../../../../agent/cli/doctor.ts';
import { agentFlags } from '../../../../agent/cli/running-agent.ts';
import { examine } from '../../../../init/doctor/checks.ts';
import type { Facts, Finding } from '../../../../init/doctor/facts.ts';
import { gather } from '../../../../init/doctor/gather.ts';
import { doctorOptionsFrom } from '../../../../init/doctor/options.ts';
import { exitCodeOf } from '../../../../init/doctor/report.ts';
import { CommandError } from '../../../../init/node/exec.ts';
import type { System } from '../../../../init/node/system.ts';
import { build, containersOf } from '../../manifests/kustomize.ts';
import { good, local, nonce, socket } from './healthy.ts';

const POD_IP = '10.0.3.7';
const ROOT = new URL('../../../../', import.meta.url).pathname;

/** Flags of the doctor in a container whose first process has the arguments of the overlay. */
function flagsInPod(): readonly string[] {
  const daemonSet = build(`${ROOT}manifests/overlays/cilium`).find(
    ({ kind }) => kind === 'DaemonSet',
  );
  assert.ok(daemonSet !== undefined);
  const [agent] = containersOf(daemonSet);
  return ofAgentWithoutInit(
    agentFlags([
      'node',
      '--max-semi-space-size=1',
      '/opt/nodens/dist/agent/main.js',
      ...(agent?.args ?? []),
    ]),
  );
}

/** An unprivileged pod of its own network: addresses are there to see, rules are not. */
const POD: System = {
  read: async (path) =>
    ({
      '/etc/resolv.conf': 'nameserver 192.0.2.53\n',
      '/proc/net/udp':
        '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n' +
        ' 1: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 65532 0 1 2 0 0\n',
    })[path],
  run: async (program) => {
    if (program !== 'ip') throw new CommandError(program, 1, 'Operation not permitted');
    return JSON.stringify([
      { ifname: 'lo', addr_info: [{ local: '127.0.0.1', scope: 'host', label: 'lo' }] },
      { ifname: 'eth0', addr_info: [{ local: POD_IP, scope: 'global', label: 'eth0' }] },
    ]);
  },
};

const ENVIRONMENT = {
  CLUSTER_DOMAIN: 'k8s.test',
  // settings.env has them, and the overlay does not use them.
  KUBE_DNS_IPS: '10.96.0.10',
  KUBE_DNS_SERVICE_HOST: '10.43.0.10',
  NODENS_UPSTREAM_SERVICE_HOST: '10.96.0.11',
};

const factsInPod = (flags = flagsInPod()): Promise<Facts> =>
  gather(
    doctorOptionsFrom(flags, ENVIRONMENT),
    POD,
    async (_, address) => (address === POD_IP ? nonce : good),
    async () => 'nodens_config_valid 1\n',
    async () => assert.fail('no control socket'),
  );

function finding(facts: Facts, id: string): Finding {
  return examine(facts).find((one) => one.id === id) ?? assert.fail(`no line ${id}`);
}

describe('the doctor in a pod of the overlay cilium', () => {
  it('finds no fault in a pod that answers, and says what it cannot see', async () => {
    const facts = await factsInPod();
    assert.deepEqual(facts.localIps, [POD_IP]);
    const findings = examine(facts);
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict !== 'ok'),
      [],
    );
    assert.equal(exitCodeOf(findings), 0);
    assert.equal(new Set(findings.map(({ id }) => id)).size, findings.length);
    assert.match(finding(facts, 'interception').message, /started without init.*Local Redirect/s);
    assert.match(finding(facts, 'queues').message, /^1 UDP sockets/);
    assert.match(finding(facts, 'kube-dns').message, /^10\.96\.0\.11\/udp/);
    for (const { message, remedy = '' } of findings)
      assert.doesNotMatch(`${message} ${remedy}`, /169\.254|-c init/);
  });

  it('without the flags of that agent it takes the same pod for a node without nodens', async () => {
    const facts = await factsInPod([]);
    assert.equal(finding(facts, 'answers').verdict, 'fail');
  });

  it('reports an agent that does not answer, with a remedy that names no init', async () => {
    const facts = await factsInPod();
    const timeout = { error: 'timeout' };
    const hangs = { ...facts, local: local(timeout, POD_IP) };
    for (const [one, message] of [
      [
        { ...hangs, sockets: { value: [socket('0.0.0.0', { waitingBytes: 768 })] } },
        /hangs.*768 bytes/,
      ],
      [{ ...hangs, sockets: { value: [] } }, /no answer on 10\.0\.3\.7/],
      [{ ...facts, local: local({ error: 'ECONNREFUSED' }, POD_IP) }, /no answer/],
    ] as const) {
      const { verdict, message: said, remedy = '' } = finding(one, 'agent');
      assert.equal(verdict, 'fail');
      assert.match(said, message);
      assert.doesNotMatch(remedy, /init|rules/);
      assert.equal(finding(one, 'answers').verdict, 'fail');
    }
  });

  it('names an address that the agent was given and the pod does not have', async () => {
    const facts = await factsInPod([...flagsInPod(), '--localip=10.0.3.8']);
    assert.equal(finding(facts, 'addresses').verdict, 'fail');
  });

  it('asks both families where the agent listens on ::', async () => {
    const facts = await factsInPod([...flagsInPod(), '--localip=0.0.0.0,::']);
    assert.deepEqual(facts.localIps, [POD_IP]);
  });

  it('is unchanged beside an agent that has an init, and in other containers', () => {
    assert.deepEqual(ofAgentWithoutInit({ localip: '169.254.20.10' }), []);
    assert.deepEqual(ofAgentWithoutInit(undefined), []);
  });
});
