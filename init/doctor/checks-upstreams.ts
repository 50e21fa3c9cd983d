/**
 * Whether those that nodens asks can be asked from this node, by each transport, and whether the settings speak of this
 * cluster: its domain, and the ClusterIP of its kube-dns.
 */
import { CLUSTER_IP_REMEDY, clusterIpFault } from '../plan/fallback.ts';
import type { Facts, Finding, UpstreamReply } from './facts.ts';
import { isSeen, unseen } from './seen.ts';
import { hasNoEndpoints } from './services.ts';

const NOERROR = 0;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const REFUSED = 5;

/**
 * Whether kube-dns answers from this node. Without TCP to any of its ClusterIPs it is a fault; other failures are
 * warnings.
 */
export function kubeDns({ upstreams, kubeDns: servers, rules }: Facts): Finding {
  const id = 'kube-dns';
  if (servers.length === 0) {
    return {
      id,
      verdict: 'unseen',
      message: 'not asked: a ClusterIP of it that nodens does not answer on is not known',
      remedy: 'name the ClusterIP of nodens-upstream: --kubedns IP',
    };
  }
  const asked = upstreams.filter(({ role }) => role === 'kube-dns');
  const refusing = servers.filter((server) => isRefused(asked, server));
  if (refusing.length > 0) {
    const unserved = refusing.filter(
      (server) => isSeen(rules) && hasNoEndpoints(rules.value, server),
    );
    const why = unserved.length > 0 ? `: no endpoints behind ${unserved.join(', ')}` : '';
    const message = `${asked.map(describe).join(', ')}${why}`;
    const verdict = refusing.length === servers.length ? 'fail' : 'warn';
    const remedy = unserved.length > 0 ? NO_ENDPOINTS : `${NO_ENDPOINTS} ${OR_A_POLICY}`;
    return { id, verdict, message, remedy };
  }
  return reachable(id, asked, {
    tcp: 'cluster names go over TCP: allow TCP 53 from the node to kube-dns (policies, security groups)',
    udp: 'the fallback and clients of the VIP go over UDP: allow UDP 53 from the node to kube-dns',
  });
}

/** Whether resolvers of resolv.conf answer. Without UDP from any of them it is a fault; other failures are warnings. */
export function resolvers({ upstreams }: Facts): Finding {
  const asked = upstreams.filter(({ role }) => role === 'resolver');
  if (asked.length === 0) {
    const remedy = 'names outside the cluster need a resolver in resolv.conf, or in the Corefile';
    return { id: 'resolvers', verdict: 'warn', message: 'none to ask', remedy };
  }
  return reachable('resolvers', asked, {
    udp: 'names outside the cluster go over UDP: is the server up, is UDP 53 allowed from the node?',
    tcp: 'truncated answers need TCP: allow TCP 53 from the node to the resolver',
  });
}

const NO_ENDPOINTS =
  'no pod of kube-dns is ready: kubectl -n kube-system get pods -l k8s-app=kube-dns; are they ready, and does the ' +
  "Service's selector name their labels (kubectl -n kube-system get endpointslices)?";

const OR_A_POLICY =
  'Where they are, something rejects port 53 from the node: a policy, a security group.';

/** kube-proxy refuses for a Service without endpoints, over each transport. */
function isRefused(asked: readonly UpstreamReply[], server: string): boolean {
  return asked
    .filter((one) => one.server === server)
    .every(({ reply }) => 'error' in reply && reply.error === 'ECONNREFUSED');
}

/** UDP of kube-dns and TCP of a resolver are the second way: without it nodens serves, mostly. */
const SECOND = { 'kube-dns': 'udp', resolver: 'tcp' } as const;

function reachable(
  id: string,
  asked: readonly UpstreamReply[],
  remedies: Readonly<Record<'udp' | 'tcp', string>>,
): Finding {
  const faults = asked.filter(({ reply }) => 'error' in reply || reply.rcode === SERVFAIL);
  const message = asked.map(describe).join(', ');
  if (faults.length === 0) return { id, message, ...slowness(asked) };
  const isUsable = asked.some((one) => !faults.includes(one) && one.transport !== SECOND[one.role]);
  const first = faults.find(({ role, transport }) => transport !== SECOND[role]) ?? faults[0];
  const remedy = remedies[first?.transport ?? 'udp'];
  return { id, verdict: isUsable ? 'warn' : 'fail', message, remedy };
}

/** Clients wait for a miss as long as the upstream takes; many resolvers of libc give up after a few seconds. */
const SLOW_MS = 100;
const TOO_SLOW_MS = 1_000;

/** Judges servers that all answer by the slowest reply. */
function slowness(asked: readonly UpstreamReply[]): Pick<Finding, 'verdict' | 'remedy'> {
  const slowest = Math.max(0, ...asked.map(({ reply }) => ('ms' in reply ? reply.ms : 0)));
  if (slowest < SLOW_MS) return { verdict: 'ok' };
  const remedy =
    'each name that is not cached takes clients so long: is the server overloaded (CPU limit, few replicas), or far away?';
  return { verdict: slowest < TOO_SLOW_MS ? 'warn' : 'fail', remedy };
}

function describe({ server, transport, reply }: UpstreamReply): string {
  if ('error' in reply) return `${server}/${transport} ${reply.error}`;
  const odd = reply.rcode === SERVFAIL ? ' SERVFAIL' : reply.rcode === REFUSED ? ' REFUSED' : '';
  return `${server}/${transport} ${reply.ms} ms${odd}`;
}

/** kube-dns was asked for the Service that every cluster has. */
export function clusterDomain({
  cluster,
  upstreams,
}: Pick<Facts, 'cluster' | 'upstreams'>): Finding {
  const id = 'cluster-domain';
  const { domain, isDomainTold, knowsKubernetes } = cluster;
  const name = `kubernetes.default.svc.${domain}`;
  if (!knowsKubernetes) return { id, verdict: 'ok', message: `${domain}, not asked for ${name}` };
  const asked = upstreams.filter(({ role }) => role === 'kube-dns');
  const said = (rcode: number): string[] =>
    asked
      .filter(({ reply }) => 'rcode' in reply && reply.rcode === rcode)
      .map(({ server, transport }) => `${server}/${transport}`);
  const denied = said(NXDOMAIN);
  if (denied.length > 0) {
    const message = `NXDOMAIN for ${name} from ${denied.join(', ')}`;
    const givenRemedy =
      "set CLUSTER_DOMAIN to the cluster's domain (`search` in a pod's resolv.conf names it), and the upstream to its " +
      'kube-dns: the agent does not listen before; where kube-dns knows no such Service: --without-kubernetes-service';
    const guessed = "name the cluster's domain: --domain";
    return isDomainTold
      ? { id, verdict: 'fail', message, remedy: givenRemedy }
      : { id, verdict: 'warn', message, remedy: guessed };
  }
  if (said(NOERROR).length > 0)
    return { id, verdict: 'ok', message: `${domain}: kube-dns knows ${name}` };
  const remedy = 'see the line kube-dns';
  return {
    id,
    verdict: 'unseen',
    message: `not seen: kube-dns did not answer for ${name}`,
    remedy,
  };
}

/** Whether the settings have the ClusterIP that the kubelet gives for the Service kube-dns, see `clusterIpFault`. */
export function clusterIp({ cluster, localIps }: Pick<Facts, 'cluster' | 'localIps'>): Finding {
  const id = 'cluster-ip';
  const { clusterIps: asked, kubeDnsService: serviceHost } = cluster;
  const fault = clusterIpFault({ localIps, asked, serviceHost });
  if (fault !== undefined)
    return { id, verdict: 'warn', message: fault, remedy: CLUSTER_IP_REMEDY };
  const message =
    serviceHost ?? 'not known here: KUBE_DNS_SERVICE_HOST is set in the namespace of kube-dns only';
  return { id, verdict: 'ok', message };
}

/** The upstreams of the Corefile, by their own protocol: the doctor asks kube-dns and resolvers in plain DNS only. */
export function agentUpstreams({
  agentUpstreams: upstreams,
}: Pick<Facts, 'agentUpstreams'>): Finding {
  const id = 'upstreams';
  if (!isSeen(upstreams)) return unseen(id, { ...upstreams, remedy: 'see the line corefile' });
  const { count, down } = upstreams.value;
  if (down.length === 0)
    return { id, verdict: 'ok', message: `the agent finds none of its ${count} down` };
  const message = `the agent finds ${down.length} of its ${count} down: ${down.join(', ')}`;
  const remedy =
    "the agent's log has errno and remedy of each (upstream-down); `nodens query -trace NAME` in its container asks again";
  return { id, verdict: 'warn', message, remedy };
}
