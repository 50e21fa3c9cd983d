/** Asks the running agent, by its /metrics, whether the Corefile on disk is what it serves. */
import { get } from 'node:http';
import { messageOf } from '../../../agent/base/errors.ts';

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

/** Whether the Corefile on disk is valid, as the agent says. Rejects where no agent of nodens says so there. */
export async function readConfigValid(fetch: Fetch, address: string): Promise<boolean> {
  const url = `http://${address}/metrics`;
  let page: string;
  try {
    page = await fetch(url);
  } catch (error) {
    throw new Error(`${url}: ${messageOf(error)}`, { cause: error });
  }
  const value = /^nodens_config_valid(?:\{[^}]*\})? ([\d.]+)/m.exec(page)?.[1];
  if (value === undefined) throw new Error(`${url} does not show nodens_config_valid`);
  return Number(value) === 1;
}
