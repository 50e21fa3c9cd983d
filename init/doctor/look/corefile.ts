/** Asks the running agent, by its /metrics, whether the Corefile on disk is what it serves, and how its upstreams are. */
import { get } from 'node:http';
import { messageOf } from '../../../agent/base/errors.ts';
import type { AgentUpstreams } from '../facts.ts';

/** Fetches a page; rejects with the reason. */
export type Fetch = (url: string) => Promise<string>;

const TIMEOUT_MS = 2_000;
/** A page of series is some hundred kilobytes. */
const MAX_BYTES = 32 * 2 ** 20;

/** Over HTTP, with a bound of 2 s and 32 MiB. It resolves whatever the status code is. */
export const fetchPage: Fetch = (url) =>
  new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const request = get(url, { signal, agent: false }, (response) => {
      let page = '';
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        page += chunk;
        if (page.length > MAX_BYTES) request.destroy(new Error('the page has no end'));
      });
      response.on('end', () => resolve(page));
      response.on('error', reject);
    });
    request.on('error', reject);
  });

/** The agent's page of series. Rejects where no agent of nodens has one there. */
export async function readSeries(fetch: Fetch, address: string): Promise<string> {
  const url = `http://${address}/metrics`;
  let page: string;
  try {
    page = await fetch(url);
  } catch (error) {
    throw new Error(`${url}: ${messageOf(error)}`, { cause: error });
  }
  if (!CONFIG_VALID.test(page)) throw new Error(`${url} does not show nodens_config_valid`);
  return page;
}

const CONFIG_VALID = /^nodens_config_valid(?:\{[^}]*\})? ([\d.]+)/m;
const UPSTREAM_IS = /^nodens_upstream_state\{to="([^"]+)",state="(\w+)"\} 1$/gm;

/** Whether the Corefile on disk is valid, as a page of series says. */
export const isConfigValidIn = (page: string): boolean =>
  Number(CONFIG_VALID.exec(page)?.[1]) === 1;

/** Upstreams of the agent, as a page of series shows them. */
export function upstreamsIn(page: string): AgentUpstreams {
  const states = [...page.matchAll(UPSTREAM_IS)];
  const down = states.flatMap(([, to = '', state]) => (state === 'down' ? [to] : []));
  return { count: states.length, down };
}
