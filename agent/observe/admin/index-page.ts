/** What `/` shows on a port with metrics: its endpoints as links. */
import type { AdminResponse } from '../../query/services/admin.ts';

const TEXTS: Readonly<Record<string, string>> = {
  '/metrics': 'all series of this agent, for Prometheus',
  '/health': 'whether the process is alive',
  '/ready': 'whether the agent is ready to answer',
  '/debug/pprof/': 'profiles of the process',
};

/** The links are `paths` that a plugin has chosen, never text of a client. */
export function indexPage(paths: readonly string[]): AdminResponse {
  const known = paths.filter((path) => Object.hasOwn(TEXTS, path));
  const links = known.map((path) => `<li><a href="${path}">${path}</a> ${TEXTS[path] ?? ''}\n`);
  return {
    status: 200,
    contentType: 'text/html; charset=utf-8',
    body: `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>nodens</title>
<h1>nodens</h1>
<ul>
${links.join('')}</ul>
<p>A page with numbers and charts: the directive <code>status</code> of the Corefile. In the agent's container:
<code>nodens status</code>, <code>nodens top</code>.
`,
    headers: {
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
      'X-Content-Type-Options': 'nosniff',
    },
  };
}
