/** Every upstream stops: warm names go on with stale answers, cold ones fail soon; then the upstreams come back. */
import { ask, counters, type Stage } from '../stage.ts';
import { dig } from '../topology/dig.ts';
import { V4 } from '../topology/plan.ts';
import { until } from '../topology/wait.ts';
import { CLUSTER_TTL_SECONDS } from '../topology/zones.ts';

const WARM = 'web.default.svc.cluster.local';
const STALE_TTL_SECONDS = 30;
const NEW_ADDRESS = '10.96.7.99';
/** A cold name may take as long as a client's own patience, and no longer. */
const COLD_BUDGET_MS = 5_000;

export async function outage(stage: Stage): Promise<void> {
  const { cluster, report } = stage;
  const pod = cluster.pods[0];
  report.scene('kube-dns and the internet resolver stop');
  await dig(pod, { server: V4.vip, name: WARM });
  await cluster.stopUpstreams();
  const found = await until(
    `${WARM} to be served stale`,
    async () => {
      const answer = await dig(pod, { server: V4.vip, name: WARM });
      const fresh = answer.answers.some(({ ttl }) => ttl <= CLUSTER_TTL_SECONDS);
      return fresh && answer.status === 'NOERROR' ? undefined : answer;
    },
    (CLUSTER_TTL_SECONDS + 10) * 1_000,
  );
  report.note(`pod1 › dig @${V4.vip} ${WARM} A, after its ${CLUSTER_TTL_SECONDS} s`);
  report.same('status', found.status, 'NOERROR');
  report.same(
    'stale answer',
    found.answers.map(({ data }) => data),
    ['10.96.7.7'],
  );
  report.same(
    'its TTL',
    found.answers.map(({ ttl }) => ttl),
    [STALE_TTL_SECONDS],
  );
  if (found.extendedErrors.length > 0)
    report.note(`extended error: ${found.extendedErrors.join()}`);
  const cold = await dig(pod, {
    server: V4.vip,
    name: 'cold.any.default.svc.cluster.local',
    timeoutSeconds: 10,
  });
  report.note(`pod1 › dig @${V4.vip} cold.any.default.svc.cluster.local A`);
  report.same('a name nobody asked before', cold.status, 'SERVFAIL');
  report.holds(
    'says why (RFC 8914)',
    cold.extendedErrors.length > 0,
    cold.extendedErrors,
    'an extended error',
  );
  const elapsed = `${Math.round(cold.elapsedMs)} ms`;
  report.holds(
    "within a client's patience",
    cold.elapsedMs < COLD_BUDGET_MS,
    elapsed,
    `${COLD_BUDGET_MS} ms`,
  );
}

export async function recovery(stage: Stage): Promise<void> {
  const { cluster, report } = stage;
  const pod = cluster.pods[0];
  report.scene(`They come back; meanwhile ${WARM} moved to ${NEW_ADDRESS}`);
  await cluster.startUpstreams({ web: NEW_ADDRESS });
  const fresh = await until(
    `a fresh answer for ${WARM}`,
    async () => {
      const answer = await dig(pod, { server: V4.vip, name: WARM });
      return answer.answers.some(({ data }) => data === NEW_ADDRESS) ? answer : undefined;
    },
    15_000,
  );
  report.same(
    'fresh answer',
    fresh.answers.map(({ data }) => data),
    [NEW_ADDRESS],
  );
  report.holds(
    'its TTL',
    (fresh.answers[0]?.ttl ?? 99) <= CLUSTER_TTL_SECONDS,
    fresh.answers[0]?.ttl,
    `≤ ${CLUSTER_TTL_SECONDS}`,
  );
  await ask(stage, {
    who: 'pod1',
    from: pod,
    server: V4.vip,
    name: 'warm-again.any.default.svc.cluster.local',
    data: ['10.96.9.9'],
    upstream: ['kube-dns tcp'],
  });
  await counters(stage);
}
