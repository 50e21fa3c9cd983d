/** Memory quantities in Kubernetes format (`64Mi`, `200M`, `1048576`). */

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** Bytes of a quantity, or undefined if the text is not one or is not above zero. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|[kKMG])?$/.exec(text);
  if (match === null) return undefined;
  const bytes = Math.floor(Number(match[1]) * (UNIT_BYTES[match[2] ?? ''] as number));
  return bytes > 0 ? bytes : undefined;
}
