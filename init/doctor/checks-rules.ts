/** Rules: ours, what a node-local-dns left, and what others have put in the way. */
import { familyOf } from '../../agent/base/address.ts';
import { isNodeLocal, who } from './checks-answers.ts';
import type { Facts, Finding, Rules } from './facts.ts';
import {
  backendsOf,
  droppingChains,
  familiesOf,
  foreignDnsRules,
  nodeLocalDnsLines,
  ownRuleIds,
  ownText,
} from './ruleset.ts';
import { isSeen, unseen } from './seen.ts';

/** Whether rules of nodens take queries to the agent, in each family that has a local IP. */
export function interception(facts: Pick<Facts, 'rules' | 'localIps'>): Finding {
  const id = 'interception';
  const { rules, localIps } = facts;
  if (!isSeen(rules)) return unseen(id, rules);
  const ids = [...ownRuleIds(ownText(rules.value))];
  const by = backendsOf(rules.value).join(' and ');
  const has = (prefix: string): boolean => ids.some((rule) => rule.startsWith(prefix));
  const redirected = familiesOf(ids, 'query-pod');
  const left = localIps.filter((ip) => !redirected.includes(familyOf(ip) ?? 4));
  if (has('query-pod') && has('reply')) {
    const host = has('query-host') ? 'pods and the host' : 'pods only';
    const message = `${ids.length} rules by ${by}: ${host}, ${redirected.map((family) => `IPv${family}`).join(' and ')}`;
    if (left.length === 0) return { id, verdict: 'ok', message };
    const remedy = 'init says in its log what it could not set up for that family';
    return { id, verdict: 'warn', message: `${message}; not ${left.join(', ')}`, remedy };
  }
  if (has('query-')) {
    const message = 'query rules without reply rules: late answers capture sockets in conntrack';
    return { id, verdict: 'fail', message, remedy: 'init puts them back: is it running?' };
  }
  const state =
    ids.length === 0 ? 'no rules of nodens' : `withdrawn (${ids.length} standing rules by ${by})`;
  const vips = localIps.filter((ip) => !isNodeLocal(facts, ip));
  return {
    id,
    verdict: vips.length > 0 || ids.length === 0 ? 'warn' : 'ok',
    message: `${state}: ${vips.length > 0 ? `kube-dns serves ${vips.join(', ')}` : 'packets are tracked'}`,
    remedy: 'init intercepts when the agent answers its probes: see the log of init',
  };
}

/** Rules and addresses of a node-local-dns: a fault where a local IP gets no answer, else a warning. */
export function leftovers({ rules, addresses, local, leftIps }: Facts): Finding {
  const id = 'leftovers';
  if (!isSeen(rules)) return unseen(id, rules);
  const lines = nodeLocalDnsLines(rules.value);
  const links = isSeen(addresses)
    ? addresses.value
        .filter(({ owner }) => owner === 'node-local-dns')
        .map(({ address }) => address)
    : [];
  if (lines.length + links.length === 0) {
    const earlier = `; ${leftIps.join(', ')} of earlier settings goes when nothing answers there`;
    return {
      id,
      verdict: 'ok',
      message: `nothing of node-local-dns${leftIps.length > 0 ? earlier : ''}`,
    };
  }
  const isServed = local.length > 0 && local.every(({ reply }) => who(reply) !== 'no server');
  const effect = isServed ? '' : ', and no server answers: queries are lost';
  return {
    id,
    verdict: isServed ? 'warn' : 'fail',
    message: `node-local-dns: ${lines.length} rules, ${links.length} addresses${effect}`,
    remedy:
      'a running nodens init takes over from one that is dead, and leaves one that lives alone: see its log; ' +
      'without init: nodens init --cleanup',
  };
}

/**
 * Rules of other programs than nodens, node-local-dns and kube-proxy that drop, reject, redirect or rewrite port 53.
 */
export function foreign({ rules }: Facts): Finding {
  return listed('foreign-rules', rules, foreignDnsRules, {
    none: 'no other rule drops or redirects port 53',
    verdict: 'warn',
    remedy: 'they may take queries away from nodens or drop them: find out whose they are',
  });
}

/** Input and output chains that drop by policy and have no rule that accepts port 53. */
export function policies({ rules }: Facts): Finding {
  return listed('policies', rules, droppingChains, {
    none: 'no policy drops queries or answers',
    verdict: 'fail',
    remedy: 'these policies drop and no rule accepts port 53: init adds such rules, is it running?',
  });
}

const SHOWN = 3;

function listed(
  id: string,
  rules: Facts['rules'],
  find: (rules: Rules) => string[],
  words: { none: string; verdict: 'warn' | 'fail'; remedy: string },
): Finding {
  if (!isSeen(rules)) return unseen(id, rules);
  const found = find(rules.value);
  if (found.length === 0) return { id, verdict: 'ok', message: words.none };
  const more = found.length > SHOWN ? [`and ${found.length - SHOWN} more`] : [];
  const message = [...found.slice(0, SHOWN), ...more].join('\n');
  return { id, verdict: words.verdict, message, remedy: words.remedy };
}
