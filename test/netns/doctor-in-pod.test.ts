/** `nodens doctor` in a pod as the overlay cilium has it: its own network, no init, no privilege to see rules. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import type { Facts, Finding } from '../../init/doctor/facts.ts';
import { V4 } from '../support/cluster/plan.ts';
import { Daemon } from '../support/cluster/process/process.ts';
import { AGENT_ID, programs } from '../support/cluster/process/programs.ts';
import { run } from '../support/cluster/process/run.ts';
import { until } from '../support/cluster/process/wait.ts';
import { describeSites, withSite } from '../support/netns/sites.ts';

const CAPABILITY = '-all,+net_bind_service';
const AS_AGENT = [
  ...['setpriv', '--reuid', AGENT_ID, '--regid', AGENT_ID, '--clear-groups', '--no-new-privs'],
  ...['--inh-caps', CAPABILITY, '--ambient-caps', CAPABILITY, '--bounding-set', CAPABILITY],
];
const ENVIRONMENT = {
  CLUSTER_DOMAIN: 'cluster.local',
  KUBE_DNS_IPS: '10.96.0.200',
  NODENS_UPSTREAM_SERVICE_HOST: V4.upstreamVip,
};

const inPod = (): void => {
  it('reads the flags of the first process, and finds no fault', () =>
    withSite('nft', async ({ cluster }) => {
      const [pod] = cluster.pods;
      const { node, nodens } = await programs(cluster.runDir);
      const conf = `${cluster.runDir}/Corefile.pod`;
      writeFileSync(
        conf,
        `.:53 {\nbind 0.0.0.0\nprometheus :9253\nforward . ${V4.upstreamVip} {\nforce_tcp\n}\n}\n`,
      );
      const resolvConf = `${cluster.runDir}/resolv.pod`;
      writeFileSync(resolvConf, `nameserver ${V4.upstreamVip}\n`);
      const container = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
      const args = ['--localip=0.0.0.0', `--conf=${conf}`, '--without-init', '--admin-socket='];
      const agent = new Daemon({
        ...{ name: 'agent', netns: pod, logFile: `${cluster.runDir}/agent.log` },
        argv: [...container, ...AS_AGENT, node, nodens, 'agent', ...args],
        env: ENVIRONMENT,
      });
      await until('the agent to serve', () => agent.log().includes('"msg":"serving"'));
      const [first] = readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8').split(
        ' ',
      );
      const enter = ['nsenter', '--target', `${first}`, '--pid', '--mount', '--net'];
      const { code, stdout, stderr } = await run(
        [...enter, ...AS_AGENT, node, nodens, 'doctor', '--json', `--resolvconf=${resolvConf}`],
        { timeoutMs: 20_000, env: ENVIRONMENT },
      );
      assert.notEqual(stdout, '', stderr);
      const { findings, facts } = JSON.parse(stdout) as { findings: Finding[]; facts: Facts };
      assert.deepEqual(
        findings
          .filter(({ verdict }) => verdict !== 'ok')
          .map(({ id, message }) => `${id}: ${message}`),
        [],
      );
      assert.equal(code, 0);
      assert.deepEqual(facts.localIps, [V4.pods[0]]);
      assert.ok('unseen' in facts.rules, 'an unprivileged pod reads no rules');
      await agent.stop();
    }));
};

// Its rules have no part in this.
describeSites('the doctor in a pod without init', inPod, ['nft']);
