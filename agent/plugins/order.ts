/**
 * Every plugin, in the order a query meets them, whatever the order in the Corefile (CoreDNS's list of 1.14). A plugin
 * sees what those below it give back and must not care about those above.
 */
import type { Setup } from '../query/plugin.ts';
import { setup as acl } from './acl/setup.ts';
import { setup as anyType } from './any/setup.ts';
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
import { setup as template } from './template/setup.ts';
import { setup as timeouts } from './timeouts/setup.ts';
import { setup as trace } from './trace/setup.ts';
import { setup as view } from './view/setup.ts';
import { setup as whoami } from './whoami/setup.ts';

export interface OrderedPlugin {
  readonly name: string;
  readonly setup: Setup;
}

export const PLUGINS: readonly OrderedPlugin[] = [
  // First: it makes the place where the others put what they know.
  { name: 'metadata', setup: metadata },
  // Above whatever waits: its time runs from the start.
  { name: 'cancel', setup: cancel },
  { name: 'timeouts', setup: timeouts },
  { name: 'reload', setup: reload },
  // Above everything that answers: whoever answers, this is who we are.
  { name: 'nsid', setup: nsid },
  // Above everything that answers, so that its limit holds for every response.
  { name: 'bufsize', setup: bufsize },
  { name: 'bind', setup: bind },
  { name: 'debug', setup: debug },
  // Above all that handles queries: it looks on at what stands below.
  { name: 'trace', setup: trace },
  { name: 'ready', setup: ready },
  { name: 'health', setup: health },
  { name: 'pprof', setup: pprof },
  { name: 'prometheus', setup: prometheus },
  // Above log, so that an error is reported once, after everything below has had its chance to answer.
  { name: 'errors', setup: errors },
  // Above cache, so that hits are logged too.
  { name: 'log', setup: log },
  // Above cache, so that hits are told too.
  { name: 'dnstap', setup: dnstap },
  // What is answered without asking anybody, above all that would.
  { name: 'local', setup: local },
  // Above cache, which has the AAAA and the A answers, each under its own key.
  { name: 'dns64', setup: dns64 },
  { name: 'any', setup: anyType },
  { name: 'chaos', setup: chaos },
  // Above cache, so that every hit is shuffled anew and the shuffled order is never stored.
  { name: 'loadbalance', setup: loadbalance },
  // Above cache, which then knows one name where rules make many into one; below log, which tells what was asked.
  { name: 'rewrite', setup: rewrite },
  // Above cache: a cached answer is not for everybody. Below rewrite: it judges what is really asked.
  { name: 'acl', setup: acl },
  // Above whatever has to wait, below whatever concerns one client only.
  { name: 'cache', setup: cache },
  // Below cache, so that their work is done once for each answer stored.
  { name: 'header', setup: header },
  { name: 'minimal', setup: minimal },
  // Before hosts and forward: it answers in their place.
  { name: 'template', setup: template },
  // Below cache, as in CoreDNS: a changed file shows when the cached answer has expired.
  { name: 'hosts', setup: hosts },
  // Directly above forward: it must see the queries of ours that come back to us.
  { name: 'loop', setup: loop },
  // Answers everything but its `except` zones, so what stands below only serves those.
  { name: 'forward', setup: forward },
  // Answers everything: last.
  { name: 'whoami', setup: whoami },
  // Acts in routing, before the chain.
  { name: 'view', setup: view },
];

/** Directives that `PLUGINS` serves. */
export const SUPPORTED: ReadonlySet<string> = new Set(PLUGINS.map((plugin) => plugin.name));
