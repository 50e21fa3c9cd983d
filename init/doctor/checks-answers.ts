/** Who answers on the local IPs, now and when nodens does not. */

import { familyOf, isLinkLocal, isWildcard } from '../../agent/base/address.ts';
import type { UdpSocket } from '../node/proc.ts';
import type { Facts, Finding, LocalReply, Reply } from './facts.ts';
import { familiesOf, leadsToAgent, ownRuleIds, ownText } from './ruleset.ts';
import { isSeen, unseen } from './seen.ts';
import { isServiceIp } from './services.ts';

/** Who answered a question for nodens's own name: with its nonce it was nodens. */
type Who = 'nodens' | 'another server' | 'no server';

/** An error counts as no server. Any reply without a TXT string, also REFUSED, counts as another server. */
export function who(reply: Reply): Who {
  if ('error' in reply) return 'no server';
  return reply.text === undefined ? 'another server' : 'nodens';
}

/** Whether a pod that asks `address` has nodens alone, and the fallback: it is no Service's. */
export function isNodeLocal({ rules }: Pick<Facts, 'rules'>, address: string): boolean {
  if (isLinkLocal(address)) return true;
  // Of IPv6 a unique local address is what the settings suggest; Services may have such ones, too.
  const isUniqueLocal = familyOf(address) === 6 && /^f[cd]/.test(address);
  return isUniqueLocal && isSeen(rules) && !isServiceIp(rules.value, address);
}

/** The verdict over all: what a pod that asks each local IP gets. */
export function answers(facts: Facts): Finding {
  const id = 'answers';
  const byAddress = facts.localIps.map((address) => ({ address, by: whoServes(facts, address) }));
  const message = byAddress.map(({ address, by }) => `${address}: ${by}`).join('\n');
  if (byAddress.length === 0) {
    const remedy = 'is nodens installed here? kubectl get pods -A -o wide -l k8s-app=nodens';
    return { id, verdict: 'fail', message: 'no address of nodens is known', remedy };
  }
  if (byAddress.some(({ by }) => by === 'no server')) {
    const remedy = 'pods that ask there have no DNS: the lines below marked FAIL say why';
    return { id, verdict: 'fail', message, remedy };
  }
  if (byAddress.some(({ by }) => by !== 'nodens')) {
    const remedy =
      'pods have DNS, but not from the cache: is the agent running, does its log say why not?';
    return { id, verdict: 'warn', message, remedy };
  }
  return { id, verdict: 'ok', message };
}

function whoServes(facts: Facts, address: string): Who {
  const replies = facts.local
    .filter((reply) => reply.address === address)
    .map(({ reply }) => who(reply));
  if (replies.includes('no server')) return 'no server';
  if (replies.includes('another server')) return 'another server';
  const family = familyOf(address) ?? 4;
  const isIntercepted = !isSeen(facts.rules) || leadsToAgent(facts.rules.value, family);
  // Asked on the node, the agent answers on a VIP that is the node's, too; pods get there by the rules only.
  return isIntercepted || isNodeLocal(facts, address) ? 'nodens' : 'another server';
}

/** Whether nodens itself answers on every local IP, over UDP and TCP. */
export function agents({ local, sockets, port, init, withoutInit }: Facts): Finding {
  const id = 'agent';
  const remedies = withoutInit ? ALONE : BESIDE_INIT;
  const silent = local.filter(({ reply }) => who(reply) === 'no server');
  const waiting = waitingBytes(silent, { sockets, port, withoutInit });
  if (waiting !== undefined) {
    const message = `hangs: ${silent.map(where).join(', ')}, although its socket is there (${waiting} bytes wait)`;
    return { id, verdict: 'fail', message: `${message}${trust(init)}`, remedy: remedies.hangs };
  }
  if (isSeen(init) && init.value.untilTrustedMs !== undefined) return distrusted(id, local, init);
  if (silent.length > 0) {
    const remedy = silent.some(({ reply }) => 'error' in reply && reply.error === 'timeout')
      ? remedies.silent
      : 'nothing listens there: kubectl describe pod says why its container ended (a refused Corefile?); can it bind?';
    return { id, verdict: 'fail', message: `no answer on ${silent.map(where).join(', ')}`, remedy };
  }
  const others = local.filter(({ reply }) => who(reply) === 'another server');
  if (others.length > 0) {
    const message = `answered on ${others.map(where).join(', ')}, but not by nodens`;
    return { id, verdict: 'warn', message, remedy: remedies.foreign };
  }
  const message = `answers on ${local.map(where).join(', ') || 'no address'}`;
  return { id, verdict: local.length > 0 ? 'ok' : 'fail', message };
}

const BESIDE_INIT = {
  hangs:
    'init withdraws it within 2 s, so that kube-dns serves, and trusts it again 60 s later at the earliest; the kubelet ' +
    'restarts it by its liveness probe: see its log, its CPU and its memory',
  silent: 'it hangs or packets are dropped: see its log, and the lines on rules and queues here',
  foreign:
    'kube-dns serves by the fallback, or another DNS server has the address: start nodens, or stop the other',
};

const ALONE = {
  hangs:
    'its readiness probe takes it out of service within 10 s, and the kubelet restarts it by its liveness probe: see its ' +
    'log, its CPU and its memory',
  silent: 'it hangs or packets are dropped: see its log, and the line on queues here',
  foreign: 'another DNS server has the address: start nodens, or stop the other',
};

/** init has withdrawn an agent that hung; what answers now may be kube-dns, by the fallback, or the agent again. */
function distrusted(id: string, local: Facts['local'], init: Facts['init']): Finding {
  const answers = local.filter(({ reply }) => who(reply) === 'nodens').length;
  const isBack = answers === local.length && answers > 0;
  const message = `${isBack ? 'answers again after it hung' : 'hung, and does not answer everywhere yet'}${trust(init)}`;
  return { id, verdict: isBack ? 'warn' : 'fail', message, remedy: BESIDE_INIT.hangs };
}

/** When init will trust the agent, for the end of a message; empty if init does not say. */
function trust(init: Facts['init']): string {
  const untilMs = isSeen(init) ? init.value.untilTrustedMs : undefined;
  if (untilMs === undefined) return '';
  const seconds = Math.ceil(untilMs / 1_000);
  const when = seconds === 0 ? 'as soon as it answers 8 rounds' : `in ${seconds} s at the earliest`;
  return `; init has withdrawn interception and trusts it again ${when}`;
}

/** Bytes in the queue of a socket that exists and is not answered from; undefined if there is none. */
function waitingBytes(
  silent: readonly LocalReply[],
  facts: Pick<Facts, 'sockets' | 'port' | 'withoutInit'>,
): number | undefined {
  const timedOut = silent.filter(({ reply }) => 'error' in reply && reply.error === 'timeout');
  if (timedOut.length === 0 || !isSeen(facts.sockets)) return undefined;
  const addresses = timedOut.map(({ address }) => address);
  const theirs = socketsOf({ ...facts, sockets: facts.sockets }, addresses);
  if (theirs.length === 0) return undefined;
  return theirs.reduce((sum, one) => sum + one.waitingBytes, 0);
}

/** UDP sockets of the agent on `addresses`. Beside an init it has one on each; a wildcard's may be another server's. */
export function socketsOf(
  {
    sockets,
    port,
    withoutInit,
  }: { sockets: { value: readonly UdpSocket[] } } & Pick<Facts, 'port' | 'withoutInit'>,
  addresses: readonly string[],
): readonly UdpSocket[] {
  return sockets.value.filter(
    (one) =>
      one.port === port &&
      (addresses.includes(one.address) || (withoutInit && isWildcard(one.address))),
  );
}

function where({ address, transport, reply }: LocalReply): string {
  const error = 'error' in reply ? ` (${reply.error})` : '';
  return `${address}/${transport}${error}`;
}

/** The way that link-local addresses take while nodens does not answer. */
export function fallback(facts: Pick<Facts, 'rules' | 'localIps'>): Finding {
  const id = 'fallback';
  const { rules, localIps } = facts;
  if (!isSeen(rules)) return unseen(id, rules);
  if (localIps.length === 0)
    return unseen(id, {
      unseen: 'no address of nodens is known: there is nothing to fall back from',
    });
  const linkLocal = localIps.filter((ip) => isNodeLocal(facts, ip));
  const families = familiesOf(ownRuleIds(ownText(rules.value)), 'fallback-', 'direct-');
  const without = linkLocal.filter((ip) => !families.includes(familyOf(ip) ?? 4));
  if (linkLocal.length === 0) {
    return {
      id,
      verdict: 'ok',
      message: "none needed: kube-proxy's rules are behind every local IP",
    };
  }
  if (without.length === 0) {
    return {
      id,
      verdict: 'ok',
      message: `${linkLocal.join(', ')} goes to kube-dns while nodens does not answer`,
    };
  }
  return {
    id,
    verdict: 'warn',
    message: `none for ${without.join(', ')}: pods that ask there have no DNS while nodens is down`,
    remedy: 'name the ClusterIP of kube-dns to init: --clusterdns; its log says why there is none',
  };
}

/** What the running agent says of the Corefile on disk. */
export function corefile({ isConfigValid }: Pick<Facts, 'isConfigValid'>): Finding {
  const id = 'corefile';
  if (!isSeen(isConfigValid)) {
    const remedy =
      "is the agent running? Where the Corefile's prometheus lines name another address: --metrics ADDR:PORT";
    return unseen(id, { ...isConfigValid, remedy });
  }
  if (isConfigValid.value)
    return { id, verdict: 'ok', message: 'what is on disk is what is served' };
  const message = 'what is on disk is refused: the one before is served until the next start';
  const remedy =
    "the agent's log names file, line and reason; `nodens check` in its container does, too (kubectl exec)";
  return { id, verdict: 'fail', message, remedy };
}
