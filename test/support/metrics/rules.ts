/** The rule file that ships beside nodens. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const RULES_FILE = fileURLToPath(
  new URL('../../../deploy/prometheus/rules.yaml', import.meta.url),
);

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

export interface Recording {
  readonly record: string;
  readonly expr: string;
}

const { groups } = parse(readFileSync(RULES_FILE, 'utf8')) as {
  groups: readonly { readonly rules: readonly (Alert | Recording)[] }[];
};
const rules = groups.flatMap((group) => group.rules);

export const RECORDINGS = rules.filter((rule): rule is Recording => 'record' in rule);
export const ALERTS = rules.filter((rule): rule is Alert => 'alert' in rule);
