/** Weights of addresses by domain, from a weight file as CoreDNS reads it. */
import { addressBytes, familyOf } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
import { byteKey, lowerName, nameFromText } from '../../dns/name.ts';

/** Weight by `byteKey` of the domain, then by latin-1 text of the address's bytes. */
export type Weights = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Key of an address in `Weights`, from its 4 or 16 bytes. */
export function addressKey(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

/**
 * A line with one word starts a domain, a line `ADDRESS WEIGHT` belongs to the last domain; weights are 1 to 255.
 * Throws ConfigError with the position in `file`.
 */
export function parseWeights(text: string, file: string): Weights {
  const weights = new Map<string, Map<string, number>>();
  let domain: Map<string, number> | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const place = { file, line: index + 1 };
    const [first, second, third] = line.replace(/#.*/s, '').split(/\s+/).filter(Boolean);
    if (first === undefined) continue;
    if (third !== undefined) throw new ConfigError(place, `"${third}" is one word too many`);
    if (second === undefined) {
      domain = domainOf(weights, first, place);
      continue;
    }
    if (domain === undefined)
      throw new ConfigError(place, 'an address needs a domain on a line before it');
    if (familyOf(first) === undefined)
      throw new ConfigError(place, `"${first}" is not an IP address`);
    const weight = /^\d{1,3}$/.test(second) ? Number(second) : 0;
    if (weight < 1 || weight > 255)
      throw new ConfigError(place, `"${second}" is not a weight from 1 to 255`);
    domain.set(addressKey(addressBytes(first)), weight);
  }
  return weights;
}

function domainOf(
  weights: Map<string, Map<string, number>>,
  text: string,
  place: ConfigError['place'],
): Map<string, number> {
  let key: string;
  try {
    key = byteKey(lowerName(nameFromText(text)));
  } catch (error) {
    throw new ConfigError(place, `"${text}" is not a domain name`, { cause: error });
  }
  const domain = weights.get(key) ?? new Map<string, number>();
  weights.set(key, domain);
  return domain;
}
