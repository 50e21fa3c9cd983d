/** One scrape, as Prometheus does it, from its own address. */
import { request } from 'node:http';

/** Prometheus's default. */
const TIMEOUT_MS = 10_000;

export interface Scraped {
  readonly status: number;
  readonly body: string;
  readonly tookMs: number;
}

/** `localAddress`: any of 127.0.0.0/8. Rejects without a complete page within ten seconds. */
export function scrape(port: number, localAddress: string, path = '/metrics'): Promise<Scraped> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, localAddress, agent: false };
    const sent = request({ ...options, signal: AbortSignal.timeout(TIMEOUT_MS) }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        const tookMs = performance.now() - startMs;
        resolve({ status: response.statusCode ?? 0, body, tookMs });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
