/**
 * Every plugin, in the order of the chain, whatever the order in the Corefile (CoreDNS's list of 1.14). A plugin sees
 * the answers of later plugins ("below" it) and must not depend on earlier ones ("above").
 */
import type { Setup } from '../query/plugin.ts';
import { setup as acl } from './acl/setup.ts';
import { setup as anyType } from './any/setup.ts';
import { setup as autopath } from './autopath/setup.ts';
import { setup as bind } from './bind/setup.ts';
import { setup as bufsize } from './bufsize/setup.ts';
import { setup as cache } from './cache/setup.ts';
import { setup as cancel } from './cancel/setup.ts';
import { setup as chaos } from './chaos/setup.ts';
import { setup as debug } from './debug/setup.ts';
import { setup as dns64 } from './dns64/setup.ts';
import { setup as dnstap } from './dnstap/setup.ts';
import { setup as errors } from './errors/setup.ts';
import { setup as forward } from './forward/setup.ts';
import { setup as header } from './header/setup.ts';
import { setup as health } from './health/setup.ts';
import { setup as hosts } from './hosts/setup.ts';
import { setup as kubernetes } from './kubernetes/setup.ts';
import { setup as loadbalance } from './loadbalance/setup.ts';
import { setup as local } from './local/setup.ts';
import { setup as log } from './log/setup.ts';
import { setup as loop } from './loop/setup.ts';
import { setup as metadata } from './metadata/setup.ts';
import { setup as minimal } from './minimal/setup.ts';
import { setup as nsid } from './nsid/setup.ts';
import { setup as pprof } from './pprof/setup.ts';
import { setup as prometheus } from './prometheus/setup.ts';
import { setup as ready } from './ready/setup.ts';
import { setup as reload } from './reload/setup.ts';
import { setup as rewrite } from './rewrite/setup.ts';
import { setup as status } from './status/setup.ts';
import { setup as template } from './template/setup.ts';
import { setup as timeouts } from './timeouts/setup.ts';
import { setup as trace } from './trace/setup.ts';
import { setup as view } from './view/setup.ts';
import { setup as whoami } from './whoami/setup.ts';

/** A directive's name and its plugin's setup. */
export interface OrderedPlugin {
  readonly name: string;
  readonly setup: Setup;
}

/** The plugins that the agent implements. Those that only configure have a place as well. */
export const PLUGINS: readonly OrderedPlugin[] = [
  // First: it creates the map for the metadata of the others.
  { name: 'metadata', setup: metadata },
  // Above everything that waits: its time runs from the start.
  { name: 'cancel', setup: cancel },
  { name: 'timeouts', setup: timeouts },
  { name: 'reload', setup: reload },
  // Above everything that answers: the identifier belongs in every response.
  { name: 'nsid', setup: nsid },
  // Above everything that answers, so that its limit applies to every response.
  { name: 'bufsize', setup: bufsize },
  { name: 'bind', setup: bind },
  { name: 'debug', setup: debug },
  // Above everything that handles queries: it wraps the plugins below it.
  { name: 'trace', setup: trace },
  { name: 'ready', setup: ready },
  { name: 'health', setup: health },
  { name: 'pprof', setup: pprof },
  { name: 'prometheus', setup: prometheus },
  { name: 'status', setup: status },
  // Above log, so that an error is reported once, after everything below could have answered.
  { name: 'errors', setup: errors },
  // Above cache, so that hits are logged too.
  { name: 'log', setup: log },
  // Above cache, so that hits are included.
  { name: 'dnstap', setup: dnstap },
  // Answers that need no upstream, above everything that asks one.
  { name: 'local', setup: local },
  // Above cache, which stores the AAAA and the A answers, each under its own key.
  { name: 'dns64', setup: dns64 },
  { name: 'any', setup: anyType },
  { name: 'chaos', setup: chaos },
  // Above cache, so that every hit is shuffled again and the shuffled order is never stored.
  { name: 'loadbalance', setup: loadbalance },
  // Above cache, which then stores one name if rules map many to one; below log, which shows the client's question.
  { name: 'rewrite', setup: rewrite },
  // Above cache: a cached answer is not for every client. Below rewrite: it checks the rewritten question.
  { name: 'acl', setup: acl },
  // Directly above cache: its answers depend on the client's search list, and each step of the list is a cached question.
  { name: 'autopath', setup: autopath },
  // Above everything that waits, below everything that concerns one client only.
  { name: 'cache', setup: cache },
  // Below cache, so that they run once for each stored answer.
  { name: 'header', setup: header },
  { name: 'minimal', setup: minimal },
  // Before hosts and forward: it answers instead of them.
  { name: 'template', setup: template },
  // Below cache, as in CoreDNS: a changed file takes effect when the cached answer has expired.
  { name: 'hosts', setup: hosts },
  // Below hosts, as in CoreDNS, and above forward, which it passes on to while its records are not current.
  { name: 'kubernetes', setup: kubernetes },
  // Directly above forward: it must see the agent's own queries that come back.
  { name: 'loop', setup: loop },
  // Answers everything but its `except` zones, so plugins below only serve those.
  { name: 'forward', setup: forward },
  // Answers everything: last.
  { name: 'whoami', setup: whoami },
  // Used by routing, before the chain.
  { name: 'view', setup: view },
];

/** Directives that `PLUGINS` implements. */
export const SUPPORTED: ReadonlySet<string> = new Set(PLUGINS.map((plugin) => plugin.name));
