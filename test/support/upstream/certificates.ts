/** Certificates created with openssl in a temporary directory. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

export interface Pair {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority. */
export class Authority {
  readonly dir = mkdtempSync(`${tmpdir()}/nodens-tls-`);
  readonly #ca: Pair = { cert: `${this.dir}/ca.pem`, key: `${this.dir}/ca.key` };
  #made = 0;

  constructor() {
    const { cert, key } = this.#ca;
    const self = ['-x509', '-subj', '/CN=nodens test', '-days', '2', '-out', cert];
    this.#openssl('req', ...newKey(key), ...self);
  }

  /** Its own certificate, PEM. */
  get pem(): string {
    return readFileSync(this.#ca.cert, 'utf8');
  }

  /** A server's certificate for `names` (`DNS:x,IP:y`); `days` below 0: expired. */
  sign(names: string, days = 2): Pair {
    const base = `${this.dir}/server${++this.#made}`;
    const pair = { cert: `${base}.pem`, key: `${base}.key` };
    writeFileSync(`${base}.ext`, `subjectAltName=${names}\n`);
    this.#openssl('req', ...newKey(pair.key), '-subj', '/CN=server', '-out', `${base}.csr`);
    const { cert, key } = this.#ca;
    const signer = ['-CA', cert, '-CAkey', key, '-CAcreateserial', '-days', `${days}`];
    const files = ['-in', `${base}.csr`, '-extfile', `${base}.ext`, '-out', pair.cert];
    this.#openssl('x509', '-req', ...signer, ...files);
    return pair;
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe', timeout: 20_000 });
  }
}

function newKey(path: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path];
}
