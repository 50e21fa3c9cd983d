/** A forward line's settings of DNS over TLS and HTTPS: `tls [CERT KEY] [CA]`, `tls_servername NAME`, `tls://IP%NAME`. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { ConfigError, messageOf } from '../../base/errors.ts';
import { maxArgs } from '../../config/corefile/args.ts';
import type { Line, Token } from '../../config/corefile/types.ts';
import type { Files } from '../../query/services/files.ts';
import type { UpstreamTls } from '../../query/services/upstreams.ts';

/** Files named by `tls`, as PEM texts, and the name from `tls_servername`. */
export interface TlsOptions {
  readonly files: Omit<UpstreamTls, 'serverName'>;
  readonly serverName: string | undefined;
  /** Of queries over HTTPS. */
  readonly httpMethod: 'GET' | 'POST';
  /** Position in the Corefile of the first of these settings. */
  readonly place: Token | undefined;
}

/** Reads and checks the files of a `tls` option. Throws ConfigError if one is unreadable or invalid. */
export function readTlsFiles(option: Line, files: Files): TlsOptions['files'] {
  const args = maxArgs(option, 3);
  const [first, second, third] = args;
  if (first === undefined) return {};
  if (second === undefined) return { ca: certificate(first, files) };
  const cert = certificate(first, files);
  const key = privateKey(second, files, cert);
  return { cert, key, ...(third !== undefined && { ca: certificate(third, files) }) };
}

function read(token: Token, files: Files): string {
  try {
    return files.read(token.text);
  } catch (error) {
    const reason = `"${token.text}" cannot be read: ${messageOf(error)}`;
    throw new ConfigError(token.place, reason, { cause: error });
  }
}

function certificate(token: Token, files: Files): string {
  const pem = read(token, files);
  checked(token, 'contains no certificate in PEM', () => new X509Certificate(pem));
  return pem;
}

function privateKey(token: Token, files: Files, cert: string): string {
  const pem = read(token, files);
  const key = checked(token, 'contains no private key in PEM', () => createPrivateKey(pem));
  if (!new X509Certificate(cert).checkPrivateKey(key))
    throw new ConfigError(token.place, `"${token.text}" is not the key of the certificate`);
  return pem;
}

function checked<T>(token: Token, reason: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new ConfigError(token.place, `"${token.text}" ${reason}`, { cause: error });
  }
}

/** Letters, digits, hyphens and dots: what a certificate can contain (RFC 6125 §6.4). */
export function serverName(token: Token, text = token.text): string {
  if (text.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?$/i.test(text))
    return text.replace(/\.$/, '');
  throw new ConfigError(token.place, `"${text}" is not a server name like dns.example.org`);
}
