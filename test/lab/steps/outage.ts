/** Every upstream stops: warm names go on with stale answers, cold ones fail soon; then the upstreams come back. */

import { dig } from '../../support/cluster/clients/dig.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { until } from '../../support/cluster/process/wait.ts';
import { CLUSTER_TTL_SECONDS } from '../../support/cluster/zones.ts';
import { ask, counters, type LabFixture } from '../fixture.ts';

const WARM = 'web.default.svc.cluster.local';
const STALE_TTL_SECONDS = 30;
const NEW_ADDRESS = '10.96.7.99';
/** The response for a cold name must come within the timeout of a client. */
const COLD_BUDGET_MS = 5_000;

export async function outage(fixture: LabFixture): Promise<void> {
  fixture.report.step('kube-dns and the internet resolver stop');
  await dig(fixture.cluster.pods[0], { server: V4.vip, name: WARM });
  await fixture.cluster.stopUpstreams();
  await warmName(fixture);
  await coldName(fixture);
}

async function warmName({ cluster, report }: LabFixture): Promise<void> {
  const found = await until(
    `${WARM} to be served stale`,
    async () => {
      const answer = await dig(cluster.pods[0], { server: V4.vip, name: WARM });
      const fresh = answer.answers.some(({ ttl }) => ttl <= CLUSTER_TTL_SECONDS);
      return fresh && answer.status === 'NOERROR' ? undefined : answer;
    },
    (CLUSTER_TTL_SECONDS + 10) * 1_000,
  );
  report.note(`pod1 › dig @${V4.vip} ${WARM} A, after its ${CLUSTER_TTL_SECONDS} s`);
  const [record] = found.answers;
  report.same('stale answer', [found.status, record?.data], ['NOERROR', '10.96.7.7']);
  report.same('its TTL', record?.ttl, STALE_TTL_SECONDS);
  report.holds(
    'says that it is stale (RFC 8914)',
    found.extendedErrors.join().includes('Stale'),
    found.extendedErrors,
    'Stale Answer',
  );
}

async function coldName({ cluster, report }: LabFixture): Promise<void> {
  const name = 'cold.any.default.svc.cluster.local';
  report.note(`pod1 › dig @${V4.vip} ${name} A, asked for the first time`);
  const question = { server: V4.vip, name, timeoutSeconds: 10 };
  const { status, extendedErrors, elapsedMs } = await dig(cluster.pods[0], question);
  report.same('answer', status, 'SERVFAIL');
  report.holds(
    'says why (RFC 8914)',
    extendedErrors.length > 0,
    extendedErrors,
    'an extended error',
  );
  const patient = elapsedMs < COLD_BUDGET_MS;
  const budget = `${COLD_BUDGET_MS} ms`;
  report.holds("within a client's timeout", patient, `${Math.round(elapsedMs)} ms`, budget);
}

export async function recovery(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  const pod = cluster.pods[0];
  report.step(`The upstreams start again; ${WARM} has moved to ${NEW_ADDRESS}`);
  await cluster.startUpstreams({ web: NEW_ADDRESS });
  const fresh = await until(
    `a fresh answer for ${WARM}`,
    async () => {
      const answer = await dig(pod, { server: V4.vip, name: WARM });
      return answer.answers.some(({ data }) => data === NEW_ADDRESS) ? answer : undefined;
    },
    15_000,
  );
  const [record] = fresh.answers;
  report.same('fresh answer', record?.data, NEW_ADDRESS);
  const ttl = record?.ttl ?? Number.POSITIVE_INFINITY;
  report.holds('its TTL', ttl <= CLUSTER_TTL_SECONDS, ttl, `≤ ${CLUSTER_TTL_SECONDS}`);
  await ask(fixture, {
    asker: 'pod1',
    from: pod,
    server: V4.vip,
    name: 'warm-again.any.default.svc.cluster.local',
    data: ['10.96.9.9'],
    upstream: ['kube-dns tcp'],
  });
  await counters(fixture);
}
